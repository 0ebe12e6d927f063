locals {
  functions = {
    api        = "${var.base_name}-api-service"
    aggregator = "${var.base_name}-aggregator"
  }

  environment = {
    DJANGO_SETTINGS_MODULE = "foedus.server.settings"
    FMA_SETTINGS_MODULE    = "fma_settings"
    FMA_DATABASE_NAME      = aws_db_instance.metadata.db_name
    FMA_DATABASE_HOST      = aws_db_instance.metadata.address
    FMA_DATABASE_PORT      = tostring(aws_db_instance.metadata.port)
    FMA_DB_SECRET_PATH     = local.database_secret
    FOEDUS_BLOBS_URL       = "s3://${aws_s3_bucket.models.bucket}/${local.prefix}"
    FOEDUS_SECRETS         = "aws:${local.secrets_prefix}"
    FOEDUS_FACES           = "fma"
    TRUSTED_ORIGIN         = var.trusted_origin
    AGGREGATOR_LAMBDA_ARN  = "${local.arn}:lambda:${local.account}:function:${local.functions.aggregator}"
    ENV                    = var.stage
    TAGS                   = join(",", [for key, value in var.tags : "${key}=${value}"])
  }
}

resource "aws_s3_object" "function" {
  bucket      = aws_s3_bucket.code.bucket
  key         = "function-${filesha256(var.function_zip)}.zip"
  source      = var.function_zip
  source_hash = filesha256(var.function_zip)
}

resource "aws_cloudwatch_log_group" "functions" {
  for_each = local.functions

  name              = "/aws/lambda/${each.value}"
  retention_in_days = var.log_days
}

resource "aws_lambda_function" "api" {
  function_name                  = local.functions.api
  role                           = aws_iam_role.api.arn
  runtime                        = "python3.12"
  handler                        = "service_initialization.handler"
  s3_bucket                      = aws_s3_object.function.bucket
  s3_key                         = aws_s3_object.function.key
  memory_size                    = var.api_memory_mb
  timeout                        = 60
  reserved_concurrent_executions = var.concurrency.api

  environment {
    variables = local.environment
  }

  ephemeral_storage {
    size = var.scratch_mb
  }

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.functions.id]
  }

  depends_on = [aws_iam_role_policy.data, aws_iam_role_policy.logs, aws_cloudwatch_log_group.functions]
}

resource "aws_lambda_function" "aggregator" {
  function_name                  = local.functions.aggregator
  role                           = aws_iam_role.aggregator.arn
  runtime                        = "python3.12"
  handler                        = "app.handler"
  s3_bucket                      = aws_s3_object.function.bucket
  s3_key                         = aws_s3_object.function.key
  memory_size                    = var.aggregator_memory_mb
  timeout                        = 300
  reserved_concurrent_executions = var.concurrency.aggregator

  environment {
    variables = local.environment
  }

  ephemeral_storage {
    size = var.scratch_mb
  }

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.functions.id]
  }

  depends_on = [aws_iam_role_policy.data, aws_iam_role_policy.logs, aws_cloudwatch_log_group.functions]
}

# The next minute brings the next event anyway.
resource "aws_lambda_function_event_invoke_config" "aggregator" {
  function_name                = aws_lambda_function.aggregator.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}
