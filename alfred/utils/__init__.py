"""The ground floor: what a project's own main.py stands on."""
