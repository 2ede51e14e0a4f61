"""
What is known of AWS and must hold of the stand-in, each fact with the tests that show it through boto3.

The table is how a fact is found, and how a lost test shows: a fact without one is a line that fails.
"""

import inspect
from collections.abc import Callable

import pytest

from tests.integration import test_local_control as control
from tests.integration import test_local_drs as drs
from tests.integration import test_local_drs_errors as errors
from tests.integration import test_local_drs_lists as lists
from tests.integration import test_local_events as events
from tests.integration import test_local_front as front
from tests.integration import test_local_launch_templates as templates
from tests.integration import test_local_quotas as quotas
from tests.integration import test_local_server as server
from tests.integration import test_local_sts as sts

Shown = tuple[Callable[..., None], ...]

DRS: dict[str, Shown] = {
    "UpdateLaunchConfiguration takes the members of the model, within their lengths, patterns and enums": (
        drs.test_a_request_is_checked_against_the_service_model,
        drs.test_an_update_changes_its_field_and_answers_everything,
    ),
    "its answer is the whole launch configuration with the template's id; what is left out is left alone": (
        drs.test_an_update_changes_its_field_and_answers_everything,
    ),
    "no field of DRS for instance type, subnet, security groups, instance profile or static IP": (
        drs.test_drs_has_no_field_of_ec2,
    ),
    "one launch template a source server": (drs.test_a_source_server_has_a_template_worth_losing,),
    "Get: ResourceNotFoundException 404, InternalServerException 500, ThrottlingException 429, "
    "UninitializedAccountException 400": (
        errors.test_any_call_can_meet_each_of_its_errors,
        drs.test_what_is_not_there_is_not_found,
        drs.test_an_account_that_was_not_set_up_answers_so_until_it_is,
        front.test_drs_throttles_with_a_time_to_come_back,
    ),
    "Update: those, ConflictException 409 and ValidationException 400": (
        errors.test_any_call_can_meet_each_of_its_errors,
        drs.test_a_request_is_checked_against_the_service_model,
    ),
    "any call: AccessDeniedException, ExpiredTokenException, ThrottlingException as a 400, ServiceUnavailable": (
        errors.test_any_call_can_meet_each_of_its_errors,
    ),
    "retryAfterSeconds is text on Throttling and a number on InternalServer; it is the header Retry-After": (
        errors.test_botocore_does_not_wait_as_long_as_it_is_told,
        front.test_a_scripted_throttle_carries_its_retry_after,
        front.test_drs_throttles_with_a_time_to_come_back,
    ),
    "botocore ignores retryAfterSeconds": (errors.test_botocore_does_not_wait_as_long_as_it_is_told,),
    "botocore does not retry ConflictException": (errors.test_botocore_does_not_retry_a_conflict,),
    "StartRecovery: 202, takes tags": (drs.test_a_job_is_accepted_with_its_tags,),
    "StartRecovery: 1..200 servers in the model, the quota is 100 a job": (
        drs.test_a_request_is_checked_against_the_service_model,
        drs.test_a_job_has_at_most_100_servers,
    ),
    "20 jobs in progress": (drs.test_at_most_20_jobs_are_in_progress,),
    "500 servers in all jobs": (drs.test_at_most_500_servers_are_in_all_jobs,),
    "1 job a server; Conflict in AWS's own words": (
        drs.test_a_server_is_in_one_job_and_refuses_all_of_another,
        drs.test_of_64_clients_one_gets_the_server,
    ),
    "job quotas are of one account and Region": (quotas.test_job_quotas_are_of_one_account_and_region,),
    "StartRecovery has no idempotency token": (quotas.test_starting_twice_starts_twice,),
    "a COMPLETED job may hold servers that failed": (
        drs.test_a_completed_job_may_hold_failed_servers,
        control.test_what_happens_to_a_server_shows_in_its_job_and_its_template,
        lists.test_a_jobs_log_tells_what_happened_to_each_server,
    ),
    "the validation of a job is all or nothing": (
        drs.test_one_wrong_server_starts_none,
        drs.test_a_server_is_in_one_job_and_refuses_all_of_another,
    ),
    "DRS reads the launch templates when it launches, not when it is called": (
        drs.test_templates_are_read_at_the_launch_and_not_at_the_call,
    ),
    "right-sizing BASIC or IN_AWS overwrites the instance type in the background": (
        drs.test_right_sizing_overwrites_the_type_in_the_background,
        drs.test_without_right_sizing_the_type_stays,
    ),
    "copyPrivateIp writes the primary IP at once": (
        drs.test_copying_the_private_ip_writes_the_template_and_ending_it_does_not,
        drs.test_copying_the_private_ip_again_writes_nothing,
    ),
    "source-network operations rewrite the subnet": (
        drs.test_a_source_network_operation_rewrites_the_subnet,
        control.test_what_happens_to_a_server_shows_in_its_job_and_its_template,
    ),
    "turning copyPrivateIp off leaves the IP in the template": (
        drs.test_copying_the_private_ip_writes_the_template_and_ending_it_does_not,
    ),
    "a static IP needs copyPrivateIp=false": (drs.test_a_static_address_does_not_last_beside_a_copied_one,),
    "the template of a DISCONNECTED server is deleted": (
        drs.test_a_disconnected_server_has_no_template_and_can_be_updated,
    ),
    "a deleted template is made again under a new id": (
        drs.test_a_deleted_template_is_made_again_under_a_new_id,
        control.test_a_server_is_changed_as_the_world_would,
    ),
    "no state of a server refuses an update": (drs.test_a_disconnected_server_has_no_template_and_can_be_updated,),
    "DRS's tag on the template is what lets anyone write it": (drs.test_a_template_without_drss_tag_refuses_writes,),
    "up to 200 ids a call of DescribeSourceServers, paginated": (
        drs.test_source_servers_are_described_by_id_200_a_call,
        drs.test_source_servers_come_in_pages,
    ),
    "what is not built, and what is no operation, answers UnknownOperationException, 404, JSON": (
        errors.test_what_is_no_request_of_drs_is_told_so,
        lists.test_what_the_model_has_and_the_stand_in_has_not_is_said,
        front.test_what_is_not_built_says_so,
    ),
}

EC2: dict[str, Shown] = {
    "a launch is from the default version, which ModifyLaunchTemplate alone moves": (
        templates.test_a_new_version_changes_nothing_until_it_is_promoted,
        drs.test_templates_are_read_at_the_launch_and_not_at_the_call,
    ),
    "the number that Create returned is not $Latest for long": (templates.test_the_promoted_number_is_not_the_latest,),
    "SourceVersion inherits each top-level member, and a member that is sent replaces it whole": (
        templates.test_a_source_version_is_inherited_and_a_sent_member_replaces_its_own_whole,
    ),
    "without SourceVersion everything that is not sent is lost": (
        templates.test_without_a_source_version_everything_not_sent_is_lost,
    ),
    "ClientToken: the same parameters give the same number, others IdempotentParameterMismatch": (
        templates.test_a_client_token_makes_one_version,
        templates.test_a_client_token_with_other_parameters_is_refused,
        templates.test_64_clients_lose_and_double_nothing,
    ),
    "ModifyLaunchTemplate with a repeated token succeeds and does nothing": (
        templates.test_a_repeated_token_of_modify_does_nothing_and_succeeds,
    ),
    "a bad type, security group or combination is stored with HTTP 200 and Warning.Errors": (
        templates.test_bad_data_is_stored_with_a_warning,
        templates.test_a_warning_is_repeated_with_its_token,
    ),
    "InvalidLaunchTemplateId.NotFound and .Malformed": (templates.test_a_wrong_request_is_refused_by_code,),
    "InvalidLaunchTemplateId.VersionNotFound": (templates.test_a_version_that_is_not_there_is_version_not_found,),
    "RequestLimitExceeded is a 503": (front.test_ec2_throttles_as_ec2_does,),
    "UnauthorizedOperation is a 403": (
        templates.test_a_denied_template_can_be_read_and_not_written,
        drs.test_a_template_without_drss_tag_refuses_writes,
    ),
    "token buckets: CreateLaunchTemplateVersion and ModifyLaunchTemplate 100 and 5/s, each Describe 100 and 20/s, "
    "DeleteLaunchTemplateVersions 50 and 5/s": (quotas.test_an_api_lets_its_bucket_pass_and_then_its_refill,),
    "a bucket is of one account, Region and API, for everything in the account": (
        quotas.test_a_bucket_is_of_one_account_region_and_api,
    ),
    "DRS draws on the same buckets": (quotas.test_drs_draws_on_the_accounts_buckets_too,),
    "DescribeLaunchTemplateVersions without an id: every $Default, 200 a page": (
        templates.test_the_default_version_of_every_template_comes_in_pages_of_200,
    ),
    "DescribeLaunchTemplates takes 200 ids and answers DefaultVersionNumber": (
        templates.test_200_templates_are_described_in_one_call,
    ),
    "Describe answers members that a request must not send back": (
        templates.test_the_answer_holds_members_that_the_request_refuses,
    ),
    "EC2 reads are eventually consistent": (
        templates.test_a_read_just_after_a_write_answers_the_state_before,
        templates.test_templates_come_and_go_late_for_readers,
        control.test_a_read_may_answer_the_state_before_a_write,
    ),
    "a signed request older than 5 minutes is refused": (front.test_a_signature_of_another_time_is_refused,),
    "10,000 versions a template": (templates.test_a_template_is_full_at_10000_versions,),
    "a version description has 255 characters": (templates.test_a_version_description_has_at_most_255_characters,),
    "DeleteLaunchTemplateVersions: each for itself, never the default one": (
        templates.test_versions_are_deleted_one_by_one_and_their_numbers_are_gone_for_good,
    ),
}

AROUND: dict[str, Shown] = {
    "accounts and Regions do not see each other": (
        drs.test_accounts_and_regions_do_not_see_each_other,
        templates.test_accounts_and_regions_do_not_see_each_other,
        server.test_two_accounts_do_not_see_each_other,
        control.test_servers_are_made_in_the_region_told,
    ),
    "a role is assumed only with its ExternalId": (
        sts.test_a_wrong_external_id_is_denied,
        sts.test_an_assumed_role_acts_in_its_own_account,
        sts.test_a_role_that_is_not_there_is_denied,
    ),
    "every service's errors come with their code, status and request id": (
        front.test_a_scripted_error_arrives_with_its_code,
        front.test_every_answer_has_a_request_id_and_every_call_is_counted,
    ),
    "a call may take effect although its answer is lost, or comes late": (
        front.test_a_lost_answer_has_its_effect,
        front.test_an_effect_may_come_after_the_error,
    ),
    "CloudTrail tells of writes that AWS accepted, in each service's form": (
        events.test_a_write_to_drs_is_a_request_to_check_for_drift,
        events.test_a_write_to_a_template_is_told_as_cloudtrail_tells_ec2,
        events.test_reads_and_refused_writes_are_no_events,
        events.test_what_drs_writes_itself_is_an_event_of_its_own_role,
    ),
}

FACTS = DRS | EC2 | AROUND
ASKING = {"account", "client", "local", "endpoint"}
"""Fixtures that lead to a running stand-in."""


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_is_shown_by_asking_the_stand_in(fact: str) -> None:
    """Each fact has a test that pytest runs, that asks a running stand-in, and that says what it checks."""
    assert FACTS[fact]
    for shown in FACTS[fact]:
        assert shown.__name__.startswith("test_")
        assert shown.__doc__
        assert ASKING.intersection(inspect.signature(shown).parameters), shown.__name__


def test_every_test_of_what_drs_and_ec2_do_shows_a_fact_or_guards_the_stand_in() -> None:
    """Errors and quotas are facts one and all: none is tested without being listed."""
    listed = {shown for tests in FACTS.values() for shown in tests}
    of_facts = [
        test
        for module in (errors, quotas)
        for name, test in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("test_")
    ]
    guards = {
        errors.test_a_fault_may_have_a_status_that_its_code_has_not,
        quotas.test_setting_the_rates_fills_every_bucket,
    }
    assert {test for test in of_facts if test not in listed} == guards
