# The programs of a real Kubernetes, for the tests, in ./bin (or those of KUBEBUILDER_ASSETS).
.PHONY: kube
kube:
	@integration/kubernetes/build
