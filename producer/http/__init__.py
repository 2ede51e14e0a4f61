"""
The HTTP door.

    app         the application: routes, refusals, and its one opening
    exchange    round every request: its id, its one log line, the last resort for a bug
    neighbours  who may ask where nobody is authenticated
    asking      what a route is given: the operations, who asks, how long to wait
    body        reading a body, bounded and strict
    health groups runs waves letters    the routes, a module a resource
    page        the page of people, and its files
    metrics     the route of the metrics: meter counts this process's, stack_metrics names the stack's
    shipped     what the package ships for others to read
    openapi schemas examples    what /openapi.json says of them
"""

from producer.http.app import create_app

__all__ = ["create_app"]
