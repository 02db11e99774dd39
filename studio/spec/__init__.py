"""The run spec: everything a person decides about a run, frozen, checked, and written as YAML."""
