"""What runs on a card: a real one where there is one, else the pretended one that `tests/e2e/test_card.py` plugs in."""
