resource "aws_lb" "api" {
  name                       = var.base_name
  load_balancer_type         = "application"
  internal                   = var.balancer_internal
  subnets                    = var.balancer_subnet_ids
  security_groups            = [aws_security_group.balancer.id]
  drop_invalid_header_fields = true
}

resource "aws_lb_target_group" "api" {
  name                               = "${var.base_name}-api"
  target_type                        = "lambda"
  lambda_multi_value_headers_enabled = true

  health_check {
    enabled  = true
    path     = "/healthz"
    matcher  = "200"
    interval = 60
    timeout  = 30
  }
}

resource "aws_lambda_permission" "balancer" {
  statement_id  = "AllowLoadBalancer"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.api.function_name
  principal     = "elasticloadbalancing.amazonaws.com"
  source_arn    = aws_lb_target_group.api.arn
}

resource "aws_lb_target_group_attachment" "api" {
  target_group_arn = aws_lb_target_group.api.arn
  target_id        = aws_lambda_function.api.arn
  depends_on       = [aws_lambda_permission.balancer]
}

# There is no listener for plain HTTP: a redirect would come after the credentials had crossed the wire.
resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.api.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = var.tls_policy
  certificate_arn   = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}
