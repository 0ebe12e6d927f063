output "balancer_dns_name" {
  description = "Let the service's host name lead here."
  value       = aws_lb.api.dns_name
}

output "api_function" {
  description = "Call it with {\"detail\": {\"update_metadata_db\": true}} after each release."
  value       = aws_lambda_function.api.function_name
}

output "aggregator_function" {
  description = "Called by the rules of models."
  value       = aws_lambda_function.aggregator.function_name
}

output "database_secret" {
  description = "The secret with user and password of the database."
  value       = local.database_secret
}

output "bucket" {
  description = "Where the weights are."
  value       = aws_s3_bucket.models.bucket
}
