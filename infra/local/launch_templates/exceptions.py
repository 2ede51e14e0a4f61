"""
The errors that EC2 answers for launch templates, with its codes and HTTP statuses.

A client decides by the code alone, so a code must never be invented where EC2 has one.
"""


class EC2Error(Exception):
    """EC2 refused the request."""

    status = 400

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class UnauthorizedOperation(EC2Error):
    """The caller's policy does not allow this write."""

    status = 403

    def __init__(self) -> None:
        super().__init__("UnauthorizedOperation", "You are not authorized to perform this operation.")


class DryRunOperation(EC2Error):
    """The request would have succeeded."""

    status = 412

    def __init__(self) -> None:
        super().__init__("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")


class LaunchTemplateIdMalformed(EC2Error):
    """The id cannot be one of a launch template."""

    def __init__(self, template_id: str) -> None:
        super().__init__("InvalidLaunchTemplateId.Malformed", f"Invalid launch template ID: '{template_id}'")


class LaunchTemplateIdNotFound(EC2Error):
    """No launch template has this id."""

    def __init__(self, template_id: str) -> None:
        message = f"The specified launch template, with template ID {template_id}, does not exist."
        super().__init__("InvalidLaunchTemplateId.NotFound", message)


class LaunchTemplateNameNotFound(EC2Error):
    """No launch template has this name."""

    def __init__(self, name: str) -> None:
        message = f"The specified launch template, with template name {name}, does not exist."
        super().__init__("InvalidLaunchTemplateName.NotFoundException", message)


class LaunchTemplateNameTaken(EC2Error):
    """A launch template of this name exists."""

    def __init__(self) -> None:
        super().__init__("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")


class VersionNotFound(EC2Error):
    """The launch template has no such version."""

    def __init__(self, template_id: str, version: str) -> None:
        message = f"Could not find the specified version {version} for the launch template with ID {template_id}."
        super().__init__("InvalidLaunchTemplateId.VersionNotFound", message)


class VersionLimitExceeded(EC2Error):
    """
    The launch template holds as many versions as it may.

    That EC2 refuses it is documented, and the code is not: this one is made like its others for a limit.
    """

    def __init__(self, limit: int) -> None:
        super().__init__("VersionLimitExceeded", f"A launch template can have at most {limit} versions.")


class IdempotentParameterMismatch(EC2Error):
    """The client token was used before, with other parameters."""

    def __init__(self) -> None:
        message = "The client token was already used in a request with different parameters."
        super().__init__("IdempotentParameterMismatch", message)


class InvalidParameterValue(EC2Error):
    """A value is outside what EC2 accepts."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidParameterValue", message)


class InvalidParameterCombination(EC2Error):
    """Parameters exclude each other."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidParameterCombination", message)


class MissingParameter(EC2Error):
    """A parameter that EC2 needs is absent."""

    def __init__(self, parameter: str) -> None:
        super().__init__("MissingParameter", f"The request must contain the parameter {parameter}")


class UnknownParameter(EC2Error):
    """EC2 knows no such parameter."""

    def __init__(self, parameter: str) -> None:
        super().__init__("UnknownParameter", f"The parameter {parameter} is not recognized")
