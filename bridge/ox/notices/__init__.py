"""What teams hear of, once: found in scores, facts and initiatives, stored, then sent."""
