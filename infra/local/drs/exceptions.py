"""
The errors that DRS answers. Their HTTP statuses, and which members reach the client, are the service model's.

A client decides by the code alone, so a code must never be invented where the model has one.
"""

from moto.core.exceptions import ServiceException


class ValidationException(ServiceException):
    """The request breaks a constraint of the service model, or of a resource."""

    code = "ValidationException"

    def __init__(
        self, message: str, fields: list[tuple[str, str]] | None = None, reason: str = "fieldValidationFailed"
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.field_list = [{"name": name, "message": text} for name, text in fields or []] or None


class UninitializedAccountException(ServiceException):
    """DRS was never set up in this account and Region."""

    code = "UninitializedAccountException"
    message = "The account has not been initialized for AWS Elastic Disaster Recovery."


class ServiceQuotaExceededException(ServiceException):
    """The request would go over a quota of the account and Region."""

    code = "ServiceQuotaExceededException"

    def __init__(self, message: str, resource_type: str) -> None:
        super().__init__(message)
        self.resource_type = resource_type
        self.service_code = "drs"


class ResourceNotFoundException(ServiceException):
    """There is no such resource in the account and Region."""

    code = "ResourceNotFoundException"

    def __init__(self, resource_type: str, resource_id: str) -> None:
        super().__init__(f"{resource_type} with ID {resource_id} does not exist")
        self.resource_type = resource_type
        self.resource_id = resource_id


class ConflictException(ServiceException):
    """The resource is in use by something else."""

    code = "ConflictException"

    def __init__(self, message: str, resource_type: str, resource_id: str) -> None:
        super().__init__(message)
        self.resource_type = resource_type
        self.resource_id = resource_id
