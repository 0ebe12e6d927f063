# One role a function, each with what that function does and nothing else. Where "*" stands as a resource, AWS knows
# no narrower one for these actions.

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "api" {
  name               = "${var.base_name}-api-service"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

resource "aws_iam_role" "aggregator" {
  name               = "${var.base_name}-aggregator"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

data "aws_iam_policy_document" "data" {
  statement {
    sid       = "Objects"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.models.arn}/${local.prefix}/*"]
  }

  statement {
    sid       = "Listing"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.models.arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${local.prefix}/*"]
    }
  }

  statement {
    sid       = "Encryption"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.models.arn]
  }

  statement {
    sid       = "DatabaseLogin"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [local.database_secret]
  }

  statement {
    sid       = "OwnKeys"
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:CreateSecret"]
    resources = ["${local.arn}:secretsmanager:${local.account}:secret:${local.secrets_prefix}*"]
  }

  statement {
    sid = "Network"
    actions = [
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:AssignPrivateIpAddresses",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]
  }

  # The platform makes the network interfaces; code inside the function has no business with them.
  statement {
    sid    = "NoNetworkFromInside"
    effect = "Deny"
    actions = [
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:AssignPrivateIpAddresses",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "lambda:SourceFunctionArn"
      values   = [for name in values(local.functions) : "${local.arn}:lambda:${local.account}:function:${name}"]
    }
  }
}

data "aws_iam_policy_document" "logs" {
  for_each = local.functions

  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.functions[each.key].arn}:*"]
  }
}

data "aws_iam_policy_document" "rules" {
  statement {
    sid = "RulesOfModels"
    actions = [
      "events:PutRule",
      "events:PutTargets",
      "events:RemoveTargets",
      "events:DeleteRule",
      "events:TagResource",
    ]
    resources = [local.rules]
  }
}

# A rule that outlived its model is dropped by the first event that it sends.
data "aws_iam_policy_document" "orphaned_rules" {
  statement {
    actions   = ["events:RemoveTargets", "events:DeleteRule"]
    resources = [local.rules]
  }
}

resource "aws_iam_role_policy" "data" {
  for_each = { api = aws_iam_role.api.id, aggregator = aws_iam_role.aggregator.id }

  name   = "data"
  role   = each.value
  policy = data.aws_iam_policy_document.data.json
}

resource "aws_iam_role_policy" "logs" {
  for_each = { api = aws_iam_role.api.id, aggregator = aws_iam_role.aggregator.id }

  name   = "logs"
  role   = each.value
  policy = data.aws_iam_policy_document.logs[each.key].json
}

resource "aws_iam_role_policy" "rules" {
  name   = "rules"
  role   = aws_iam_role.api.id
  policy = data.aws_iam_policy_document.rules.json
}

resource "aws_iam_role_policy" "orphaned_rules" {
  name   = "orphaned-rules"
  role   = aws_iam_role.aggregator.id
  policy = data.aws_iam_policy_document.orphaned_rules.json
}
