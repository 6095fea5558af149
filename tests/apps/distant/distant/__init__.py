"""A Flower app whose model is measured on the hub, against a file that devices never see."""
