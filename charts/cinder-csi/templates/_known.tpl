{{/* Names that nobody knows, in values that go on to Kubernetes or to the driver as they are: sentences, as a list in YAML. root; old: in the values
     that the existing chart has, too, where such a name never did anything and may be in anyone's file; otherwise in ours. */}}
{{- define "cinder-csi.unknownNames" -}}
{{- $values := .root.Values -}}
{{- $plugin := $values.csi.plugin -}}
{{- $looks := list -}}
{{- if .old -}}
{{- range list "delete" "retain" -}}
{{- $looks = append $looks (list "StorageClass" (printf "storageClass.%s.parameters" .) (index $values.storageClass .).parameters) -}}
{{- end -}}
{{- range list "controllerPlugin" "nodePlugin" -}}
{{- $looks = append $looks (list "PodSecurityContext" (printf "csi.plugin.%s.podSecurityContext" .) (index $plugin .).podSecurityContext) -}}
{{- $looks = append $looks (list "SecurityContext" (printf "csi.plugin.%s.securityContext" .) (index $plugin .).securityContext) -}}
{{- end -}}
{{- range $key, $part := $values.csi -}}
{{- $looks = append $looks (list "ResourceRequirements" (printf "csi.%s.resources" $key) $part.resources) -}}
{{- end -}}
{{- else -}}
{{- range list "deleteWait" "retainWait" -}}
{{- $looks = append $looks (list "StorageClass" (printf "storageClass.%s.parameters" .) (index $values.storageClass .).parameters) -}}
{{- end -}}
{{- range list "VolumeSnapshotClass" "VolumeAttributesClass" -}}
{{- $kind := . -}}
{{- range index $values (printf "%ses" (untitle .)) -}}
{{- $looks = append $looks (list $kind (printf "the parameters of the %s %s" $kind .name) .parameters) -}}
{{- end -}}
{{- end -}}
{{- $looks = append $looks (list "SecurityContext" "node.securityContext" $values.node.securityContext) -}}
{{- end -}}
{{- $unknown := list -}}
{{- range $looks -}}
{{- $known := include "cinder-csi.names" (first .) | fromYamlArray -}}
{{- $also := ternary "^(csi\\.storage\\.k8s\\.io/|metadata\\..)" "^csi\\.storage\\.k8s\\.io/" (eq (first .) "VolumeAttributesClass") -}}
{{- $place := index . 1 -}}
{{- range $name, $_ := last . -}}
{{- if not (or (has $name $known) (regexMatch $also $name)) -}}
{{- $unknown = append $unknown (printf "%s: nobody knows %s there. Known are %s." $place $name (join ", " $known)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $unknown -}}
{{- end -}}

{{/* Whether the image is of the driver's version that this chart knows, as far as its tag tells. */}}
{{- define "cinder-csi.sameVersion" -}}
{{- with .Values.csi.plugin.image -}}
{{- if and (not .digest) (has (.tag | default "") (list "" $.Chart.AppVersion)) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Flags among the user's that the driver of the chart's version hasn't got: the beginnings of sentences, as a list in YAML. */}}
{{- define "cinder-csi.unknownFlags" -}}
{{- $known := include "cinder-csi.names" "Flag" | fromYamlArray -}}
{{- $unknown := list -}}
{{- range $place, $args := include "cinder-csi.allArgs" . | fromYaml -}}
{{- if hasPrefix "plugin" $place -}}
{{- range include "cinder-csi.flags" (dict "root" $ "args" $args) | fromYamlArray -}}
{{- if not (has . $known) -}}
{{- $unknown = append $unknown (printf "csi.%s.extraArgs has --%s, which is no flag of cinder-csi %s" $place . $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $unknown -}}
{{- end -}}

{{/* The names that each of them knows: docs/volumes.md, docs/snapshots.md, docs/volume-attributes.md, docs/configuration.md; core/v1 of Kubernetes. */}}
{{- define "cinder-csi.names" -}}
{{- dict
  "Flag" (list "endpoint" "cloud-config" "cloud-name" "cloud" "cluster" "list-only-cluster" "strict-parameters" "with-topology" "pin-zone" "additional-topology"
    "http-endpoint" "health-interval" "provide-controller-service" "provide-node-service" "user-agent" "node-id" "device-dir" "metadata-url"
    "kubelet-registration-path" "plugin-registration-path" "startup-taint" "pvc-annotations" "kubeconfig" "master" "kube-api-qps" "kube-api-burst"
    "v" "log-format" "logging-format" "nodeid" "node-service-no-os-client" "min-resync-period" "logtostderr" "alsologtostderr" "one-output"
    "skip-headers" "skip-log-headers" "add-dir-header" "stderrthreshold" "log-dir" "log-file" "log-file-max-size" "log-backtrace-at" "log-flush-frequency"
    "log-text-split-stream" "log-text-info-buffer-size" "log-json-split-stream" "log-json-info-buffer-size" "vmodule")
  "StorageClass" (list "type" "availability" "mkfs-options" "appendVolumeMetadata" "cloud" "az-map" "regenerate-uuid"
    "scheduler-hint-same-host" "scheduler-hint-different-host" "scheduler-hint-query" "scheduler-hint-local-to-instance")
  "VolumeSnapshotClass" (list "type" "availability" "cloud" "force-create" "backup-max-duration-seconds-per-gb")
  "VolumeAttributesClass" (list "type" "migration-policy" "metadata.KEY")
  "ResourceRequirements" (list "limits" "requests" "claims")
  "SecurityContext" (list "allowPrivilegeEscalation" "appArmorProfile" "capabilities" "privileged" "procMount" "readOnlyRootFilesystem" "runAsGroup"
    "runAsNonRoot" "runAsUser" "seLinuxOptions" "seccompProfile" "windowsOptions")
  "PodSecurityContext" (list "appArmorProfile" "fsGroup" "fsGroupChangePolicy" "runAsGroup" "runAsNonRoot" "runAsUser" "seLinuxChangePolicy"
    "seLinuxOptions" "seccompProfile" "supplementalGroups" "supplementalGroupsPolicy" "sysctls" "windowsOptions")
  | dig . list | toYaml -}}
{{- end -}}
