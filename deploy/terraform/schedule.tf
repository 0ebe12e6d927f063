# The API function makes one rule a model, pauses it and removes it; here is what lets those rules call the aggregator.

locals {
  rules = "${local.arn}:events:${local.account}:rule/fma-scheduled-model-*-${var.stage}"
}

resource "aws_lambda_permission" "rules" {
  statement_id  = "AllowRulesOfModels"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.aggregator.function_name
  principal     = "events.amazonaws.com"
  source_arn    = local.rules
}

resource "aws_cloudwatch_metric_alarm" "failures" {
  for_each = local.functions

  alarm_name          = "${each.value}-failures"
  alarm_description   = "Events that ${each.value} could not deal with"
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  dimensions          = { FunctionName = each.value }
}
