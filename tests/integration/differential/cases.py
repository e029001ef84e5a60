"""All cases, and the differences that are wanted everywhere."""

from tests.integration.differential.case import intended
from tests.integration.differential.cases_field import FIELD
from tests.integration.differential.cases_issue import ISSUE
from tests.integration.differential.cases_manage import MANAGE
from tests.integration.differential.cases_renew import RENEW
from tests.integration.differential.cases_usage import USAGE

CASES = (*FIELD, *ISSUE, *RENEW, *MANAGE, *USAGE)

EVERYWHERE = (intended("own-section", "conf", "config/renewal/*.conf ?acmectl?*", None),)
