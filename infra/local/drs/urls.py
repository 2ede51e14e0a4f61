"""Where DRS is reached: every path, so that an operation that is not built is answered as DRS answers it."""

from infra.local.drs.responses import DRSResponse

url_bases = [r"https?://drs\.(.+)\.amazonaws\.com"]

url_paths = {"{0}/": DRSResponse.dispatch, "{0}/.*$": DRSResponse.dispatch}
