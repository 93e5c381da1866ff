{{/* Whether Helm talks to a cluster: `helm template` doesn't. */}}
{{- define "cinder-csi.inCluster" -}}
{{- if lookup "v1" "Namespace" "" .Release.Namespace -}}true{{- end -}}
{{- end -}}

{{/* What the snapshotter waits for in vain, and makes no snapshot without: sentences, as a list in YAML. The driver's other work goes on. */}}
{{- define "cinder-csi.missingCrds" -}}
{{- $missing := list -}}
{{- if .Values.csi.snapshotter.enabled -}}
{{- $groups := dict -}}
{{- range .Capabilities.APIVersions -}}{{- $_ := set $groups (splitList "/" . | first) . -}}{{- end -}}
{{- $flags := include "cinder-csi.extraArgs" (dict "root" . "args" .Values.csi.snapshotter.extraArgs) -}}
{{- if not (.Capabilities.APIVersions.Has "snapshot.storage.k8s.io/v1") -}}
{{- $missing = append $missing "this cluster has no snapshot CRDs (snapshot.storage.k8s.io/v1), which the sidecar snapshotter waits for: install them, or set csi.snapshotter.enabled=false." -}}
{{- else if and (contains "CSIVolumeGroupSnapshot=true" $flags) (not (hasKey $groups "groupsnapshot.storage.k8s.io")) -}}
{{- $missing = append $missing "this cluster has no CRDs of group snapshots (groupsnapshot.storage.k8s.io), and with CSIVolumeGroupSnapshot=true in csi.snapshotter.extraArgs the sidecar makes no snapshots at all without them: install them, or take the feature gate out." -}}
{{- end -}}
{{- end -}}
{{- toYaml $missing -}}
{{- end -}}
