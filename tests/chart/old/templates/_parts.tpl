{{- define "old.selector" -}}
app: {{ .root.Chart.Name }}
component: {{ .component }}
release: {{ .root.Release.Name }}
{{- end -}}

{{- define "old.labels" -}}
{{ include "old.selector" . }}
chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
heritage: {{ .root.Release.Service }}
{{- end -}}

{{- define "old.image" -}}
image: "{{ .repository }}:{{ .tag }}"
imagePullPolicy: {{ .pullPolicy }}
{{- end -}}

{{/* A sidecar: root, key, name, args. */}}
{{- define "old.sidecar" -}}
- name: {{ .name }}
  {{- include "old.image" (index .root.Values.csi .key).image | nindent 2 }}
  args: {{ concat (list "-v=2" "--csi-address=/csi/csi.sock") .args | toJson }}
  volumeMounts:
    - {name: socket-dir, mountPath: /csi}
{{- end -}}

{{/* The driver: root, args, mounts. */}}
{{- define "old.driver" -}}
{{- $plugin := .root.Values.csi.plugin -}}
- name: cinder-csi-plugin
  image: "{{ $plugin.image.repository }}:{{ $plugin.image.tag | default .root.Chart.AppVersion }}"
  imagePullPolicy: {{ $plugin.image.pullPolicy }}
  args: {{ concat (list "/bin/cinder-csi-plugin" "-v=2" "--endpoint=$(CSI_ENDPOINT)" "--cloud-config=$(CLOUD_CONFIG)") .args | toJson }}
  env:
    - {name: CSI_ENDPOINT, value: unix://csi/csi.sock}
    - {name: CLOUD_CONFIG, value: /etc/config/{{ .root.Values.secret.filename }}}
    - {name: CLUSTER_NAME, value: {{ .root.Values.clusterID }}}
  ports:
    - {name: healthz, containerPort: 9808, protocol: TCP}
  {{- if ne (.root.Values.csi.livenessprobe.enabled | toString) "false" }}
  livenessProbe:
    httpGet: {path: /healthz, port: healthz}
    failureThreshold: 5
    initialDelaySeconds: 10
    timeoutSeconds: 10
    periodSeconds: 60
  {{- end }}
  volumeMounts:
    - {name: socket-dir, mountPath: /csi}
    {{- concat .mounts $plugin.volumeMounts | toYaml | nindent 4 }}
{{- end -}}

{{- define "old.volumes" -}}
{{- if .Values.secret.enabled }}
- {name: cloud-config, secret: {secretName: {{ .Values.secret.name }}}}
{{- else if .Values.secret.hostMount }}
- {name: cloud-config, hostPath: {path: /etc/config}}
{{- end }}
{{ toYaml .Values.csi.plugin.volumes }}
{{- end -}}
