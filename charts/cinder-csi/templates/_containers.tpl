{{/* A container's image: root, image. Why it ended is in `kubectl describe pod`. */}}
{{- define "cinder-csi.image" -}}
{{- $tagged := printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
image: {{ ternary (printf "%s@%s" .image.repository .image.digest) $tagged (hasKey .image "digest") | quote }}
imagePullPolicy: {{ .image.pullPolicy | default "IfNotPresent" }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* A sidecar: root, name (its key in csi), container, securityContext, args; maybe env, leads (it agrees with other replicas who works), node (it is on a node). */}}
{{- define "cinder-csi.sidecar" -}}
{{- $values := index .root.Values.csi .name -}}
{{- $env := $values.extraEnv | default list -}}
{{- if .node -}}{{- $env = include "cinder-csi.nodeEnv" $env | fromYamlArray -}}{{- end -}}
{{- $elects := and .leads .root.Values.controller.leaderElection -}}
{{- $port := include "cinder-csi.sidecarPort" . -}}
- name: {{ .container }}
  {{- include "cinder-csi.image" (dict "root" .root "image" $values.image) | nindent 2 }}
  args:
    - -v={{ .root.Values.logVerbosityLevel }}
    - --csi-address=/csi/csi.sock
    {{- with .args }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- if .leads }}
    - --timeout={{ .root.Values.timeout }}
    - --retry-interval-max={{ .root.Values.retryIntervalMax }}
    - --kube-api-qps=20
    - --kube-api-burst=100
    {{- if $elects }}
    - --leader-election
    {{- end }}
    {{- with $port }}
    - --http-endpoint=:{{ . }}
    {{- end }}
    {{- end }}
    {{- with include "cinder-csi.extraArgs" (dict "root" .root "args" $values.extraArgs) }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- with concat (.env | default list) $env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $port }}
  ports:
    - {name: {{ $.name }}, containerPort: {{ . }}}
  {{- if $elects }}
  livenessProbe:
    httpGet: {path: /healthz/leader-election, port: {{ $.name }}}
    {{- include "cinder-csi.liveness" $.root | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with .securityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - {name: socket, mountPath: /csi}
    {{- if eq .name "nodeDriverRegistrar" }}
    - {name: registration, mountPath: /registration}
    {{- end }}
{{- end -}}

{{/* The flags that only one sidecar has: root, name. */}}
{{- define "cinder-csi.sidecarArgs" -}}
{{- $values := index .root.Values.csi .name -}}
{{- if eq .name "attacher" -}}
- --worker-threads={{ $values.workers }}
- --default-fstype=ext4
{{- else if eq .name "provisioner" -}}
- --worker-threads={{ $values.workers }}
- --default-fstype=ext4
- --extra-create-metadata
{{- if eq ($values.topology | toString) "false" }}
- --feature-gates=Topology=false
{{- end }}
{{- if .root.Values.csiDriver.storageCapacity }}
- --enable-capacity
- --capacity-ownerref-level=2
{{- end }}
{{- else if eq .name "resizer" -}}
- --workers={{ $values.workers }}
- --handle-volume-inuse-error=false
{{- else if eq .name "snapshotter" -}}
- --worker-threads={{ $values.workers }}
- --extra-create-metadata
{{- end }}
{{- end -}}

{{- define "cinder-csi.liveness" -}}
{{- with .Values.csi.livenessprobe -}}
failureThreshold: {{ .failureThreshold }}
initialDelaySeconds: {{ .initialDelaySeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
periodSeconds: {{ .periodSeconds }}
{{- end }}
{{- end -}}

{{/* Ports and probes of the driver: root, and port, which is 0 where it serves none. The sidecar livenessprobe answers for it at 9808. */}}
{{- define "cinder-csi.health" -}}
{{- $sidecar := .root.Values.csi.livenessprobe.enabled -}}
ports:
  {{- if .port }}
  - {name: http, containerPort: {{ .port }}}
  {{- end }}
  {{- if $sidecar }}
  - {name: healthz, containerPort: {{ .sidecarPort }}}
  {{- end }}
livenessProbe:
  httpGet: {path: /healthz, port: {{ ternary "healthz" "http" $sidecar }}}
  {{- include "cinder-csi.liveness" .root | nindent 2 }}
{{- if .port }}
readinessProbe:
  httpGet: {path: /readyz, port: http}
  timeoutSeconds: 5
{{- end }}
{{- end -}}

{{/* A variable with a field of the Pod: name, path. */}}
{{- define "cinder-csi.field" -}}
- name: {{ .name }}
  valueFrom: {fieldRef: {fieldPath: {{ .path }}}}
{{- end -}}

{{/* A Pod template's metadata: root, component, values (of controllerPlugin or nodePlugin), maybe annotations. */}}
{{- define "cinder-csi.podMetadata" -}}
labels:
  {{- include "cinder-csi.labels" (merge (dict "podLabels" .values.podLabels) .) | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (.values.podAnnotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What both kinds of Pod have: root, values (of controllerPlugin or nodePlugin), hostNetwork, priorityClass. */}}
{{- define "cinder-csi.podSpec" -}}
priorityClassName: {{ .root.Values.priorityClassName | default .priorityClass }}
{{- if .hostNetwork }}
hostNetwork: true
{{- end }}
{{- with .values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" .hostNetwork) }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
