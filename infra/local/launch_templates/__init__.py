"""
EC2 launch templates that behave like the real ones, in place of moto's.

moto's ignore the source version and the client token, never warn and do not page: code that loses disks or
writes versions twice would pass against them. Everything else of EC2 stays moto's.

Templates made by CloudFormation stay in moto's own store and are not seen here.
"""

import moto.ec2.urls

from infra.local.launch_templates.checks import known_instance_types
from infra.local.launch_templates.models import LaunchTemplateBackend, launch_template_backends
from infra.local.launch_templates.responses import LaunchTemplateResponse, compile_operations
from infra.local.launch_templates.template import LaunchTemplate, TemplateVersion

__all__ = [
    "LaunchTemplate",
    "LaunchTemplateBackend",
    "TemplateVersion",
    "install",
    "launch_template_backends",
]


def install() -> None:
    """Put these launch templates in front of moto's EC2, before the first EC2 request is served."""
    compile_operations()
    known_instance_types()
    moto.ec2.urls.url_paths = {"{0}/": LaunchTemplateResponse.dispatch}
