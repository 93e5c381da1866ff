{{/* With legacyNames everything is called as in the chart openstack-cinder-csi: selectors and roleRefs can't be changed. */}}

{{- define "cinder-csi.name" -}}
{{- .Values.nameOverride | default (ternary "openstack-cinder-csi" .Chart.Name .Values.legacyNames) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "cinder-csi.fullname" -}}
{{- $name := include "cinder-csi.name" . -}}
{{- if .Values.legacyNames -}}
{{- $name -}}
{{- else if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The Deployment's and the DaemonSet's names: root, component (controller or node). */}}
{{- define "cinder-csi.workload" -}}
{{- printf "%s-%s%s" (include "cinder-csi.fullname" .root) .component (ternary "plugin" "" .root.Values.legacyNames) -}}
{{- end -}}

{{- define "cinder-csi.serviceAccount" -}}
{{- if .root.Values.legacyNames -}}
{{- printf "csi-cinder-%s-sa" .component -}}
{{- else -}}
{{- include "cinder-csi.workload" . -}}
{{- end -}}
{{- end -}}

{{/* A ClusterRole's or its binding's name: root, for (attacher, …, driver, node), kind (role or binding). */}}
{{- define "cinder-csi.role" -}}
{{- if not .root.Values.legacyNames -}}
{{- printf "%s-%s" (include "cinder-csi.fullname" .root) .for -}}
{{- else if eq .for "node" -}}
{{- printf "csi-nodeplugin-%s" .kind -}}
{{- else -}}
{{- printf "csi-%s-%s" (.for | replace "driver" "cinder-driver") .kind -}}
{{- end -}}
{{- end -}}

{{- define "cinder-csi.secret" -}}
{{- .Values.secret.name | default (printf "%s-cloud-config" (include "cinder-csi.fullname" .)) -}}
{{- end -}}

{{/* What the Deployment, the DaemonSet and all that look for their Pods select: root, component. */}}
{{- define "cinder-csi.selector" -}}
{{- if .root.Values.legacyNames -}}
app: {{ include "cinder-csi.name" .root }}
component: {{ .component }}plugin
release: {{ .root.Release.Name }}
{{- else -}}
app.kubernetes.io/name: {{ include "cinder-csi.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}
{{- end -}}

{{/* root; maybe component, and of the user's: labels, which go before ours, and podLabels, which don't. */}}
{{- define "cinder-csi.labels" -}}
{{- $labels := dict
  "app.kubernetes.io/name" (include "cinder-csi.name" .root)
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/version" (.root.Chart.AppVersion | toString)
  "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- if .component -}}
{{- $_ := set $labels "app.kubernetes.io/component" .component -}}
{{- $labels = merge (include "cinder-csi.selector" . | fromYaml) $labels -}}
{{- end -}}
{{- toYaml (merge (dict) (.labels | default dict) $labels (.podLabels | default dict) (.root.Values.extraLabels | default dict)) -}}
{{- end -}}

{{/* An object's metadata: root, name; maybe component, labels, annotations; cluster: it has no namespace. */}}
{{- define "cinder-csi.metadata" -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ .root.Release.Namespace }}
{{- end }}
labels:
  {{- include "cinder-csi.labels" . | nindent 2 }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
