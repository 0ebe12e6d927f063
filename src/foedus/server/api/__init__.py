"""The management commands of FLaaS, under the app's name that Django lists them by."""
