{{/* `helm upgrade --reuse-values` from another chart brings that chart's defaults in place of ours: what it doesn't know comes from defaults.yaml. */}}
{{- define "cinder-csi.complete" -}}
{{- if not .Values.chart -}}
{{- include "cinder-csi.fill" (dict "into" .Values "from" (.Files.Get "defaults.yaml" | fromYaml)) -}}
{{- end -}}
{{- end -}}

{{/* Sets what a map lacks, and what the maps in it lack: into, from. What is there stays, null also. */}}
{{- define "cinder-csi.fill" -}}
{{- range $key, $value := .from -}}
{{- if not (hasKey $.into $key) -}}
{{- $_ := set $.into $key $value -}}
{{- else if and (kindIs "map" $value) (kindIs "map" (index $.into $key)) -}}
{{- include "cinder-csi.fill" (dict "into" (index $.into $key) "from" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Flags of the user's: root, and args, which is a list, or text that is a template of a list. */}}
{{- define "cinder-csi.extraArgs" -}}
{{- if kindIs "string" .args -}}
{{- tpl .args .root | trim -}}
{{- else if .args -}}
{{- toYaml .args -}}
{{- end -}}
{{- end -}}

{{/* The same as YAML: a map whose args are the list, unless the text has none in it. */}}
{{- define "cinder-csi.parsedArgs" -}}
args:
{{ include "cinder-csi.extraArgs" . | indent 2 }}
{{- end -}}

{{/* The names of the flags among them, as a list: root, args. -v4 is v; a number with a sign is a flag's value. */}}
{{- define "cinder-csi.flags" -}}
{{- $names := list -}}
{{- $list := (include "cinder-csi.parsedArgs" . | fromYaml).args -}}
{{- if kindIs "slice" $list -}}
{{- range $list -}}
{{- $flag := toString . | regexFind "^--?[^0-9.][^=]*" -}}
{{- if regexMatch "^-v[0-9]+$" $flag -}}
{{- $names = append $names "v" -}}
{{- else if $flag -}}
{{- $names = append $names ($flag | trimPrefix "-" | trimPrefix "-" | replace "_" "-") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $names -}}
{{- end -}}

{{/* extraArgs by their places in csi: the driver's, and those of the sidecars that are enabled. */}}
{{- define "cinder-csi.allArgs" -}}
{{- $plugin := .Values.csi.plugin -}}
{{- $all := dict "plugin" $plugin.extraArgs "plugin.controllerPlugin" $plugin.controllerPlugin.extraArgs "plugin.nodePlugin" $plugin.nodePlugin.extraArgs -}}
{{- range include "cinder-csi.allSidecars" . | fromYamlArray -}}
{{- $_ := set $all . (index $.Values.csi .).extraArgs -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* The controller's own volumes and where they are mounted. The existing chart has the host's /etc/cacert by default. */}}
{{- define "cinder-csi.volumes" -}}
{{- $plugin := .Values.csi.plugin -}}
{{- $cacert := and .Values.legacyNames (kindIs "invalid" $plugin.volumes) (kindIs "invalid" $plugin.volumeMounts) -}}
{{- if $cacert -}}
{{- dict
  "volumes" (list (dict "name" "cacert" "hostPath" (dict "path" "/etc/cacert")))
  "mounts" (list (dict "name" "cacert" "mountPath" "/etc/cacert" "readOnly" true)) | toYaml -}}
{{- else -}}
{{- dict "volumes" ($plugin.volumes | default list) "mounts" ($plugin.volumeMounts | default list) | toYaml -}}
{{- end -}}
{{- end -}}

{{/* The directory of cloud.conf, or nothing where the user doesn't mount it by name. */}}
{{- define "cinder-csi.mountedConfig" -}}
{{- range (include "cinder-csi.volumes" . | fromYaml).mounts -}}
{{- if eq .name "cloud-config" -}}{{ .mountPath }}{{- break -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The port of the controller's driver; 0 is none. */}}
{{- define "cinder-csi.controllerPort" -}}
{{- if .Values.csi.plugin.httpEndpoint.enabled -}}
{{- .Values.csi.plugin.httpEndpoint.port -}}
{{- else -}}
{{- ternary 0 9808 .Values.csi.livenessprobe.enabled -}}
{{- end -}}
{{- end -}}

{{/* The port of a sidecar: root, name. None where the user's own flags say where it serves. */}}
{{- define "cinder-csi.sidecarPort" -}}
{{- $values := index .root.Values.csi .name -}}
{{- $flags := include "cinder-csi.extraArgs" (dict "root" .root "args" $values.extraArgs) -}}
{{- if not (regexMatch "--?(http-endpoint|metrics-address)\\b" $flags) -}}
{{- with $values.httpPort -}}{{ . }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The sidecars of the controller, as a list. */}}
{{- define "cinder-csi.sidecars" -}}
{{- list "attacher" "provisioner" "resizer" | toYaml }}
{{- if .Values.csi.snapshotter.enabled }}
- snapshotter
{{- end }}
{{- end -}}

{{/* All sidecars that are enabled, as a list. */}}
{{- define "cinder-csi.allSidecars" -}}
{{- include "cinder-csi.sidecars" . }}
{{- range list "livenessprobe" "nodeDriverRegistrar" }}
{{- if (index $.Values.csi .).enabled }}
- {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A node's cloud.conf, or nothing. */}}
{{- define "cinder-csi.nodeConfig" -}}
{{- $config := .Values.node.config -}}
{{- $disks := list -}}
{{- if not (kindIs "invalid" $config.nodeVolumeAttachLimit) -}}
{{- $disks = append $disks (printf "node-volume-attach-limit = %d" (int $config.nodeVolumeAttachLimit)) -}}
{{- end -}}
{{- if not (kindIs "invalid" $config.rescanOnResize) -}}
{{- $disks = append $disks (printf "rescan-on-resize = %t" $config.rescanOnResize) -}}
{{- end -}}
{{- $metadata := list -}}
{{- with $config.searchOrder -}}{{- $metadata = append $metadata (printf "search-order = %s" .) -}}{{- end -}}
{{- with $config.requestTimeout -}}{{- $metadata = append $metadata (printf "request-timeout = %s" .) -}}{{- end -}}
{{- with $disks }}[BlockStorage]
{{ join "\n" . }}
{{ end -}}
{{- with $metadata }}[Metadata]
{{ join "\n" . }}
{{ end -}}
{{- end -}}

{{/* Of variables, those for a node: nothing that may be a credential. A list in YAML. */}}
{{- define "cinder-csi.nodeEnv" -}}
{{- $safe := list -}}
{{- range . -}}
{{- if not (or (hasPrefix "OS_" .name) (dig "valueFrom" "secretKeyRef" false .)) -}}
{{- $safe = append $safe . -}}
{{- end -}}
{{- end -}}
{{- toYaml $safe -}}
{{- end -}}

{{/* The StorageClasses to make: their keys in storageClass, and their names. */}}
{{- define "cinder-csi.storageClasses" -}}
{{- if .Values.storageClass.enabled -}}
{{- range $key, $name := dict "delete" "delete" "retain" "retain" "deleteWait" "delete-wait" "retainWait" "retain-wait" -}}
{{- if ne ((index $.Values.storageClass $key).enabled | toString) "false" }}
{{ $key }}: csi-cinder-sc-{{ $name }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The parameters of a class, which are texts to Kubernetes. */}}
{{- define "cinder-csi.parameters" -}}
{{- with .parameters }}
parameters:
  {{- range $parameter, $value := . }}
  {{ $parameter }}: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end -}}
