// Nothing is built from it: the module's files have the CRDs of the monitoring operator.
module cinder-csi.test/monitoring

go 1.26.0

require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
