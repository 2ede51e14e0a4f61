#!/usr/bin/env bash
# Deploys one environment into the account and Region of the credentials: infra/deploy.sh ENV, or make deploy ENV=dev.
#
# What is missing is said at once, before anything is changed. Then come tables and queues, the repository, the image, and
# what runs, by the image's digest. Each step leaves alone what is right already: a second run changes nothing. A step that
# fails ends it, and what ran before runs on.
#
# ALLOW_DIRTY=1 deploys a tree with changes that are in no commit.
# Status: 0 deployed, 1 something failed, 2 wrong use, 3 AWS does not answer; make ends with 2 instead of any but 0.
set -euo pipefail
cd -- "$(dirname -- "$0")/.."

readonly PYTHON=${PYTHON:-.venv/bin/python}
readonly BROKEN='^(ROLLBACK_(COMPLETE|FAILED)|CREATE_FAILED|DELETE_(COMPLETE|FAILED))$'
export AWS_PAGER=""

say() { printf '%s\n' "$*"; }
complain() { printf 'deploy: %s\n' "$*" >&2; }
fail() { complain "$1"; exit "${2:-1}"; }

choose_environment() {
  [ $# -eq 1 ] && [ -n "$1" ] || fail "Say which environment: make deploy ENV=dev." 2
  # A registry takes no two hyphens beside each other in the name of a repository.
  local spelling='^[a-z0-9]+(-[a-z0-9]+)*$'
  [[ $1 =~ $spelling && ${#1} -le 30 ]] ||
    fail "ENV=$1 cannot be: at most 30 small letters, digits and single hyphens, and no hyphen first or last." 2
  # prelaunch-dev-service is a stack of the environment dev, and would be taken for the tables of another one.
  ! [[ $1 =~ (^|-)(service|repository)$ ]] || fail "ENV=$1 cannot be: so ends the name of a stack of another environment." 2
  # Cognito takes no such word in the name of a domain.
  ! [[ $1 =~ aws|amazon|cognito ]] || fail "ENV=$1 cannot be: aws, amazon and cognito may not stand in it." 2
  environment=$1
  stack=prelaunch-$environment
  file=infra/environments/$environment.json
}

# Everything that is missing, one line each; AWS is asked only where there is something to ask with.
check() {
  parameters=()
  local problems=() unanswered="" said="" line tool running=""
  for tool in aws docker git; do
    command -v "$tool" >/dev/null || problems+=("$tool is not installed, or not on PATH.")
  done
  if command -v docker >/dev/null; then
    docker info >/dev/null 2>&1 || problems+=("No Docker engine answers \`docker info\`: start one, or set DOCKER_HOST.")
    docker buildx version >/dev/null 2>&1 || problems+=("Docker has no buildx, without which no image for Lambda is made.")
  fi
  if command -v git >/dev/null; then
    if ! commit=$(git rev-parse --short=12 HEAD 2>/dev/null); then
      problems+=("This is no git repository with a commit: an image is named by the commit that it is made of.")
    elif [ -n "$(git status --porcelain)" ] && [ "${ALLOW_DIRTY:-}" != 1 ]; then
      problems+=("The tree has changes that are in no commit: commit them, or say ALLOW_DIRTY=1.")
    fi
  fi
  if ! command -v "$PYTHON" >/dev/null; then
    problems+=("There is no $PYTHON: \`make deploy ENV=$environment\` makes it, and starts this.")
  elif ! said=$("$PYTHON" -m infra.parameters infra/service.yaml "$file" 2>&1); then
    problems+=("$said")
  else
    while IFS= read -r line; do
      parameters+=("$line")
    done <<<"$said"
  fi
  if command -v aws >/dev/null; then
    check_aws
  fi
  # The first half: before bash 4.4, as on a Mac, an empty list is an unset one.
  for said in ${problems[@]+"${problems[@]}"} ${unanswered:+"$unanswered"}; do
    complain "$said"
  done
  [ ${#problems[@]} -eq 0 ] || fail "Nothing was changed."
  [ -z "$unanswered" ] || fail "Nothing was changed." 3
}

check_aws() {
  local name status
  # The SDK of this version of `aws` reads the second of the two alone.
  region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
  if [ -z "$region" ]; then
    problems+=("No Region is chosen: set AWS_REGION to the Region that is recovered into.")
    return
  fi
  export AWS_REGION=$region AWS_DEFAULT_REGION=$region
  if ! account=$(aws sts get-caller-identity --query Account --output text 2>&1); then
    unanswered="AWS does not answer who you are in $region: $(flatten "$account")"
    return
  fi
  if ! said=$(aws cloudformation describe-stacks --output text --query \
    "Stacks[?starts_with(StackName, '$stack')].[StackName,StackStatus]" 2>&1); then
    unanswered="CloudFormation in $region does not tell its stacks: $(flatten "$said")"
    return
  fi
  while read -r name status; do
    case $name in
      "$stack" | "$stack-repository" | "$stack-service") check_stack "$name" "$status" ;;
    esac
  done <<<"$said"
  if [ -n "$running" ]; then
    check_running
  elif [ "$(value_of ApiLogRole)" = make ]; then
    check_log_role
  fi
}

check_stack() {
  if [[ $2 =~ $BROKEN ]]; then
    problems+=("The stack $1 is $2 and takes no change: aws cloudformation delete-stack --stack-name $1; what it keeps, delete too.")
    return
  elif [[ $2 == UPDATE_ROLLBACK_FAILED ]]; then
    problems+=("The stack $1 is $2: aws cloudformation continue-update-rollback --stack-name $1.")
  elif [[ $2 == UPDATE_FAILED ]]; then
    problems+=("The stack $1 is $2: aws cloudformation rollback-stack --stack-name $1.")
  elif [[ $2 == REVIEW_IN_PROGRESS ]]; then
    # Nothing of it was made yet: `aws cloudformation deploy` takes it for one that is not there.
    return
  elif [[ $2 == *_IN_PROGRESS ]]; then
    problems+=("The stack $1 is $2: somebody else deploys. Wait for it.")
  fi
  [ "$1" != "$stack-service" ] || running=yes
}

# What would be changed that nobody asked for, or that cannot be changed.
check_running() {
  local before name value chosen others=""
  if ! before=$(aws cloudformation describe-stacks --stack-name "$stack-service" --output text \
    --query 'Stacks[0].Parameters[].[ParameterKey,ParameterValue]' 2>&1); then
    unanswered="CloudFormation in $region does not tell the parameters of $stack-service: $(flatten "$before")"
    return
  fi
  while IFS=$'\t' read -r name value; do
    chosen=$(value_of "$name") || continue
    [ "$chosen" != "$value" ] || continue
    others+="${others:+, }$name=$value"
    [ "$name" != UserPoolId ] ||
      problems+=("UserPoolId cannot change from '$value' to '$chosen' while $stack-service runs, for its API would go on asking for tokens of the one before: aws cloudformation delete-stack --stack-name $stack-service, and then this again. The API gets another address.")
  done <<<"$before"
  if [ -n "$others" ] && ! [ -e "$file" ]; then
    problems+=("There is no $file, and $stack-service runs with $others. Bring the file that it was deployed with; one that says [] asks for the defaults.")
  fi
}

# The role is one for account and Region: it may be somebody else's.
check_log_role() {
  local role
  if ! role=$(aws apigateway get-account --query cloudwatchRoleArn --output text 2>&1); then
    unanswered="API Gateway in $region does not tell by which role it writes logs: $(flatten "$role")"
  elif [ "$role" != None ] && [ -n "$role" ]; then
    problems+=("API Gateway in $region writes logs by $role already: say \"ApiLogRole\": \"there\" in $file.")
  fi
}

# Prints the value that a parameter is to have; fails for one that is none of an environment's.
value_of() {
  local each
  for each in ${parameters[@]+"${parameters[@]}"}; do
    [ "${each%%=*}" != "$1" ] || { printf '%s' "${each#*=}"; return; }
  done
  return 1
}

flatten() { printf '%s' "$1" | tr -s '\n' ' '; }

deploy_stack() {
  local name=$1 template=$2
  shift 2
  say "Stack $name …"
  aws cloudformation deploy --stack-name "$name" --template-file "$template" --no-fail-on-empty-changeset \
    --tags "prelaunch=$stack" "$@" ||
    fail "The stack $name was not deployed. What failed: aws cloudformation describe-stack-events --stack-name $name.
deploy: CloudFormation puts back what it changed of it; what ran before runs on."
}

output_of() {
  local value
  value=$(aws cloudformation describe-stacks --stack-name "$1" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue") || return
  [ -n "$value" ] && [ "$value" != None ] && printf '%s' "$value"
}

# Prints nothing where there is no such image.
find_digest() {
  local said
  if said=$(aws ecr describe-images --repository-name "$stack" --image-ids "imageTag=$tag" --output text \
    --query 'imageDetails[0].imageDigest' 2>&1); then
    printf '%s' "$said"
  elif [[ $said != *ImageNotFoundException* ]]; then
    complain "$(flatten "$said")"
    return 1
  fi
}

make_image() {
  say "Image $repository:$tag …"
  aws ecr get-login-password | docker login --username AWS --password-stdin "${repository%%/*}" ||
    fail "Docker was not let into the registry ${repository%%/*}. What ran before runs on."
  # Lambda takes neither an index of images nor attestations, which buildx makes by default.
  docker buildx build --load --platform linux/amd64 --provenance=false --file infra/Dockerfile --tag "$repository:$tag" . ||
    fail "The image was not built. What ran before runs on."
  docker push "$repository:$tag" || fail "The image was not pushed. What ran before runs on; run this again."
}

place_image() {
  repository=$(output_of "$stack-repository" RepositoryUri) || fail "The stack $stack-repository does not tell its repository."
  tag=$commit
  [ -z "$(git status --porcelain)" ] || tag=$commit-dirty-$(date -u +%Y%m%dT%H%M%SZ)
  digest=$(find_digest) || fail "The registry does not tell whether it has $stack:$tag."
  if [ -z "$digest" ]; then
    make_image
    digest=$(find_digest) || fail "The registry does not tell the digest of $stack:$tag."
    [ -n "$digest" ] || fail "The registry does not have $stack:$tag, which was pushed just now."
  fi
}

# Prints the value of an output of what runs.
told() {
  local name value
  while read -r name value; do
    [ "$name" != "$1" ] || printf '%s' "$value"
  done <<<"$outputs"
}

tell() {
  local name
  outputs=$(aws cloudformation describe-stacks --stack-name "$stack-service" --output text \
    --query 'Stacks[0].Outputs[].[OutputKey,OutputValue]') ||
    fail "It is deployed, but the stack $stack-service does not tell its outputs."
  for name in PageUrl Function UserPoolId PageClientId FunctionRoleArn WorkerRoleArn Cluster WorkerTask WorkerSubnets \
    WorkerSecurityGroup WorkerPublicIp; do
    [ -n "$(told "$name")" ] || fail "It is deployed, but the stack $stack-service does not tell its output $name."
  done
  cat <<EOF
$environment is deployed in $region of $account, image $tag ($digest).
  page and API   $(told PageUrl)
  function       $(told Function), invoked by its aliases reader, operator, admin
  user pool      $(told UserPoolId), app client $(told PageClientId)
  trusted by the roles that groups name: $(told FunctionRoleArn) and $(told WorkerRoleArn)
The first admin (a temporary password comes by mail):
  aws cognito-idp admin-create-user --region $region --user-pool-id $(told UserPoolId) --username YOU --user-attributes Name=email,Value=YOU@EXAMPLE.COM Name=email_verified,Value=true --desired-delivery-mediums EMAIL
  aws cognito-idp admin-add-user-to-group --region $region --user-pool-id $(told UserPoolId) --username YOU --group-name admin
Is all well? With your own credentials, then with the workers':
  PRELAUNCH_STACK=$stack .venv/bin/prelaunch doctor --region $region
  aws ecs run-task --region $region --cluster $(told Cluster) --launch-type FARGATE --task-definition $(told WorkerTask) --network-configuration "awsvpcConfiguration={subnets=[$(told WorkerSubnets)],securityGroups=[$(told WorkerSecurityGroup)],assignPublicIp=$(told WorkerPublicIp)}" --overrides '{"containerOverrides": [{"name": "worker", "command": ["doctor"]}]}'
  aws logs tail /prelaunch/$stack/worker --region $region --since 10m
EOF
}

choose_environment "$@"
check
say "Deploying $stack into $region of $account${AWS_ENDPOINT_URL:+ at $AWS_ENDPOINT_URL}, commit $commit."
deploy_stack "$stack" infra/template.yaml --parameter-overrides "Stack=$stack"
deploy_stack "$stack-repository" infra/repository.yaml --parameter-overrides "Stack=$stack"
place_image
deploy_stack "$stack-service" infra/service.yaml --capabilities CAPABILITY_IAM \
  --parameter-overrides "Stack=$stack" "Image=$repository@$digest" "${parameters[@]}"
tell
