"""Builders shared by tests. Import as `from tests.helpers.toy_models import make_toy`."""
