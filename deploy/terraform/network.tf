resource "aws_security_group" "balancer" {
  name        = "${var.base_name}-balancer"
  description = "Load balancer"
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "functions" {
  name        = "${var.base_name}-functions"
  description = "API and aggregator"
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "database" {
  name        = "${var.base_name}-database"
  description = "Metadata"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = toset(var.client_cidrs)

  security_group_id = aws_security_group.balancer.id
  description       = "Clients"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  description                  = "Functions"
  referenced_security_group_id = aws_security_group.functions.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.functions.id
  description                  = "Database"
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_egress_rule" "cloud" {
  security_group_id = aws_security_group.functions.id
  description       = "Bucket, secrets and events, all by TLS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# Functions inside a network reach the cloud's own services through endpoints alone.
resource "aws_security_group" "endpoints" {
  count = var.make_endpoints ? 1 : 0

  name        = "${var.base_name}-endpoints"
  description = "Endpoints of the cloud's services"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = var.make_endpoints ? 1 : 0

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "Functions"
  referenced_security_group_id = aws_security_group.functions.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_endpoint" "services" {
  for_each = var.make_endpoints ? toset(["secretsmanager", "events"]) : toset([])

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${var.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
}

resource "aws_vpc_endpoint" "bucket" {
  count = var.make_endpoints ? 1 : 0

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
}
