variable "region" {
  description = "Where everything is made."
  type        = string
}

variable "profile" {
  description = "Profile of the AWS configuration to use; null takes the credentials of the environment."
  type        = string
  default     = null
}

variable "base_name" {
  description = "What the name of everything begins with."
  type        = string
  default     = "fma-serverless"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,29}$", var.base_name))
    error_message = "base_name is 2 to 30 lower-case letters, digits and '-', beginning with a letter."
  }
}

variable "stage" {
  description = "Stage; part of the names of the rules that schedule models."
  type        = string
  default     = "dev"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,20}$", var.stage))
    error_message = "stage is 1 to 20 letters, digits, '-' and '_'."
  }
}

variable "tags" {
  description = "Tags of everything, the rules of models included. Neither keys nor values may contain ',' or '='."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.tags : can(regex("^[^,=]+$", key)) && can(regex("^[^,=]*$", value))])
    error_message = "Neither keys nor values of tags may contain ',' or '='."
  }
}

variable "function_zip" {
  description = "The functions' package, as `make sam-build-remote` makes it."
  type        = string
  default     = "../build/function.zip"
}

variable "vpc_id" {
  description = "The network that functions, database and load balancer are in."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids has to name subnets of at least two zones."
  }
}

variable "route_table_ids" {
  description = "Route tables of the subnets; the bucket is reached through them."
  type        = list(string)
}

variable "make_endpoints" {
  description = "Whether to make the network's endpoints for secrets, events and the bucket; false where it has them."
  type        = bool
  default     = true
}

variable "balancer_subnet_ids" {
  description = "Subnets of the load balancer: the private ones while balancer_internal, else public ones."
  type        = list(string)
}

variable "balancer_internal" {
  description = "Whether the load balancer can be reached from within the network alone."
  type        = bool
  default     = true
}

variable "client_cidrs" {
  description = "Who may reach the load balancer."
  type        = list(string)
}

variable "certificate_arn" {
  description = "Certificate of the service's host name."
  type        = string
}

variable "tls_policy" {
  description = "Security policy of the load balancer."
  type        = string
  default     = "ELBSecurityPolicy-TLS13-1-2-2021-06"
}

variable "trusted_origin" {
  description = "Host name that the service is reached by, without https://."
  type        = string
}

variable "database_class" {
  description = "Size of the database."
  type        = string
  default     = "db.t4g.micro"
}

variable "database_storage_gb" {
  description = "Disk of the database in GB, at first and at most."
  type        = object({ least = number, most = number })
  default     = { least = 20, most = 1000 }
}

variable "database_parameters" {
  description = "Parameters of the database besides TLS, which is always asked for."
  type        = map(string)
  default     = {}
}

variable "database_protected" {
  description = "Whether the database refuses to be deleted, and is copied before it is."
  type        = bool
  default     = true
}

variable "api_memory_mb" {
  description = "Memory of the API function."
  type        = number
  default     = 1024
}

variable "aggregator_memory_mb" {
  description = "Memory of the aggregator: about one model and one block of each update."
  type        = number
  default     = 2048
}

variable "scratch_mb" {
  description = "Space for files that are under way, in each container of a function."
  type        = number
  default     = 4096
}

variable "concurrency" {
  description = "How many containers of each function may run at once; -1 is no limit of its own."
  type        = object({ api = number, aggregator = number })
  default     = { api = 10, aggregator = 10 }
}

variable "log_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30
}
