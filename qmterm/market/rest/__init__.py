"""What is asked: Polygon's REST service through one seam, with deadlines, budget and classified failures."""
