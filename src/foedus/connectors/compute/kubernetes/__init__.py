"""Programs as Jobs of a Kubernetes cluster, which sees the files of runs on a volume that this server has mounted too.

cluster     the port: asks the API server
manifests   what it is asked for, as plain data
"""
