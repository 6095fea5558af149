"""The hub: registry, API and console, Fleet gateway, and Flower's SuperLink as a supervised child."""
