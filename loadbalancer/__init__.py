"""A weighted load balancer declared as code: backends, a proxy and a route between them."""
