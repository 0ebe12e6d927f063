locals {
  # The database keeps its own login, as JSON of username and password, and changes it by itself.
  database_secret = aws_db_instance.metadata.master_user_secret[0].secret_arn
  secrets_prefix  = "${var.base_name}/"
}

resource "aws_db_subnet_group" "metadata" {
  name       = "${var.base_name}-metadata"
  subnet_ids = var.subnet_ids
}

resource "aws_db_parameter_group" "metadata" {
  name   = "${var.base_name}-metadata"
  family = "postgres16"

  dynamic "parameter" {
    for_each = merge(var.database_parameters, { "rds.force_ssl" = "1" })

    content {
      name  = parameter.key
      value = parameter.value
    }
  }
}

resource "aws_db_instance" "metadata" {
  identifier                      = "${var.base_name}-metadata"
  engine                          = "postgres"
  engine_version                  = "16"
  instance_class                  = var.database_class
  db_name                         = replace(var.base_name, "-", "_")
  username                        = "foedus"
  manage_master_user_password     = true
  allocated_storage               = var.database_storage_gb.least
  max_allocated_storage           = var.database_storage_gb.most
  storage_encrypted               = true
  db_subnet_group_name            = aws_db_subnet_group.metadata.name
  parameter_group_name            = aws_db_parameter_group.metadata.name
  vpc_security_group_ids          = [aws_security_group.database.id]
  publicly_accessible             = false
  backup_retention_period         = 14
  deletion_protection             = var.database_protected
  skip_final_snapshot             = !var.database_protected
  final_snapshot_identifier       = "${var.base_name}-metadata-final"
  copy_tags_to_snapshot           = true
  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["postgresql"]
}
