"""Which device runs which version of a model, now and before: kept from what devices report."""
