locals {
  prefix = "weights"
}

resource "aws_kms_key" "models" {
  description             = "Weights of ${var.base_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_s3_bucket" "models" {
  bucket = "${var.base_name}-model-storage-${data.aws_caller_identity.here.account_id}"
}

resource "aws_s3_bucket" "code" {
  bucket = "${var.base_name}-code-${data.aws_caller_identity.here.account_id}"
}

resource "aws_s3_bucket_public_access_block" "private" {
  for_each = { models = aws_s3_bucket.models.id, code = aws_s3_bucket.code.id }

  bucket                  = each.value
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "models" {
  bucket = aws_s3_bucket.models.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.models.arn
    }
  }
}

resource "aws_s3_bucket_versioning" "models" {
  bucket = aws_s3_bucket.models.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "models" {
  bucket     = aws_s3_bucket.models.id
  depends_on = [aws_s3_bucket_versioning.models]

  rule {
    id     = "abort-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }

  # Bodies that went around a function are for one request.
  dynamic "rule" {
    for_each = toset(["answers", "uploads"])

    content {
      id     = "forget-${rule.value}"
      status = "Enabled"

      filter {
        prefix = "${local.prefix}/_${rule.value}/"
      }

      expiration {
        days = 1
      }

      noncurrent_version_expiration {
        noncurrent_days = 1
      }
    }
  }
}

data "aws_iam_policy_document" "tls_only" {
  for_each = { models = aws_s3_bucket.models.arn, code = aws_s3_bucket.code.arn }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value, "${each.value}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "tls_only" {
  for_each = { models = aws_s3_bucket.models.id, code = aws_s3_bucket.code.id }

  bucket     = each.value
  policy     = data.aws_iam_policy_document.tls_only[each.key].json
  depends_on = [aws_s3_bucket_public_access_block.private]
}
