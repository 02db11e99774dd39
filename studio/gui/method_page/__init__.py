"""What the page Method is made of: a step bar, one widget a step, the forecasts they share, and a foot."""
