"""The boutique: a shop that is drawn by numbers, whose shoppers have reasons that are known."""
