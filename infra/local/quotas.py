"""
Service Quotas of DRS, in place of moto's, which knows those of VPC alone: the numbers that the stand-in's DRS keeps to.

Codes and names: AWS General Reference, "AWS Elastic Disaster Recovery endpoints and quotas".
"""

import json
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.servicequotas.responses import ServiceQuotasResponse

from infra.local.mend import add

DRS_QUOTAS: dict[str, tuple[str, float]] = {
    "L-D88FAC3A": ("Concurrent jobs in progress", 20.0),
    "L-05AFA8C6": ("Max source servers in all Jobs", 500.0),
    "L-B827C881": ("Max source servers in a single Job", 100.0),
    "L-DD6D028C": ("Max concurrent Jobs per source server", 1.0),
    "L-E28BE5E0": ("Max Total source servers Per AWS Account", 4000.0),
    "L-C1D14A2B": ("Max Total replicating source servers Per AWS Account", 300.0),
}
PAGE = 100


def install() -> None:
    """Give moto's Service Quotas the operation."""
    add(ServiceQuotasResponse, "list_service_quotas", _list_service_quotas)


def _list_service_quotas(self: ServiceQuotasResponse) -> str:
    parameters = json.loads(self.body)
    if parameters.get("ServiceCode") != "drs":
        raise JsonRESTError("NoSuchResourceException", "The specified resource does not exist.")
    start = int(parameters.get("NextToken") or 0)
    end = start + int(parameters.get("MaxResults") or PAGE)
    quotas = [_describe(code, *quota) for code, quota in DRS_QUOTAS.items()]
    more = {"NextToken": str(end)} if end < len(quotas) else {}
    return json.dumps({"Quotas": quotas[start:end], **more})


def _describe(code: str, name: str, value: float) -> dict[str, Any]:
    return {
        "ServiceCode": "drs",
        "ServiceName": "AWS Elastic Disaster Recovery",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": value,
        "Unit": "None",
        "GlobalQuota": False,
    }
