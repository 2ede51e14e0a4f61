"""
The errors that DRS answers, with the HTTP statuses and members of its service model.

A client decides by the code alone; the members are what the model names, nothing more.
"""

from typing import Any


class DrsError(Exception):
    """DRS refused the request. The class is named after the code."""

    status = 400

    def __init__(self, message: str, **members: Any) -> None:
        super().__init__(message)
        self.message = message
        self.members = members

    @property
    def code(self) -> str:
        """The code that a client reads."""
        return type(self).__name__


class ValidationException(DrsError):
    """The request breaks a constraint of the service model, or of a resource."""

    def __init__(self, message: str, fields: list[tuple[str, str]] | None = None, reason: str = "other") -> None:
        listed = [{"name": name, "message": text} for name, text in fields or []]
        super().__init__(message, reason=reason, **({"fieldList": listed} if listed else {}))


class UninitializedAccountException(DrsError):
    """DRS was never set up in this account and Region."""

    def __init__(self) -> None:
        super().__init__("The account has not been initialized for AWS Elastic Disaster Recovery.")


class ServiceQuotaExceededException(DrsError):
    """The request would go over a quota of the account and Region."""

    status = 402

    def __init__(self, message: str, resource_type: str) -> None:
        super().__init__(message, resourceType=resource_type, serviceCode="drs")


class ResourceNotFoundException(DrsError):
    """There is no such resource in the account and Region."""

    status = 404

    def __init__(self, resource_type: str, resource_id: str) -> None:
        message = f"{resource_type} with ID {resource_id} does not exist"
        super().__init__(message, resourceId=resource_id, resourceType=resource_type)


class UnknownOperationException(DrsError):
    """The stand-in, or the service, has no such operation."""

    status = 404

    def __init__(self) -> None:
        super().__init__("The requested operation is not recognized by the service.")


class ConflictException(DrsError):
    """The resource is in use by something else."""

    status = 409

    def __init__(self, message: str, resource_type: str, resource_id: str) -> None:
        super().__init__(message, resourceType=resource_type, resourceId=resource_id)
