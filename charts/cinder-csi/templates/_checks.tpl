{{/* What is wrong with the values, and what to do: sentences, as a list in YAML. */}}
{{- define "cinder-csi.problems" -}}
{{- $problems := list -}}
{{- $secret := .Values.secret -}}
{{- $plugin := .Values.csi.plugin -}}
{{- $image := $plugin.image.repository -}}
{{- if not $image -}}
{{- $problems = append $problems "csi.plugin.image.repository is empty, and no image of the driver is published yet: name the one that you built (docs/image.md)." -}}
{{- else if hasSuffix "/cinder-csi-plugin" $image -}}
{{- $problems = append $problems (printf "csi.plugin.image.repository is %s, the existing driver, which this chart's flags don't fit: name an image of cinder-csi." $image) -}}
{{- end -}}

{{- if $secret.enabled -}}
{{- if and $secret.create (not $secret.data) -}}
{{- $problems = append $problems "secret.create makes a Secret, but secret.data is empty: give it an entry cloud.conf, or name a Secret that is there by secret.name without secret.create." -}}
{{- else if and $secret.create $secret.filename (not (hasKey $secret.data $secret.filename)) -}}
{{- $problems = append $problems (printf "secret.data has no entry %s, which secret.filename names: the driver would look for it in vain." $secret.filename) -}}
{{- else if and (not $secret.create) (not $secret.name) -}}
{{- $problems = append $problems "secret.enabled is true, but which Secret? Name it by secret.name, or let the chart make it by secret.create and secret.data." -}}
{{- end -}}
{{- else if kindIs "invalid" $secret.hostMount -}}
{{- $problems = append $problems "The controller has no credentials: set secret.enabled with secret.name or secret.data; or secret.hostMount: true for /etc/config of its host; or secret.hostMount: false where something else brings the file." -}}
{{- end -}}

{{- $replicas := int $plugin.controllerPlugin.replicas -}}
{{- if and (gt $replicas 1) (not .Values.controller.leaderElection) -}}
{{- $problems = append $problems (printf "csi.plugin.controllerPlugin.replicas is %d, but controller.leaderElection is false: each replica would make every volume. Set one replica, or leader election." $replicas) -}}
{{- end -}}
{{- if and (not .Values.controller.leaderElection) (ne $plugin.controllerPlugin.strategy.type "Recreate") -}}
{{- $problems = append $problems "controller.leaderElection is false, and an update would run the old and the new Pod side by side: set csi.plugin.controllerPlugin.strategy.type to Recreate." -}}
{{- end -}}
{{- if not (and (isAbs $plugin.nodePlugin.kubeletDir) (trimAll "/" $plugin.nodePlugin.kubeletDir)) -}}
{{- $problems = append $problems (printf "csi.plugin.nodePlugin.kubeletDir is %q: it must be the absolute path of a directory, such as /var/lib/kubelet." $plugin.nodePlugin.kubeletDir) -}}
{{- end -}}

{{- $flags := include "cinder-csi.extraArgs" (dict "root" . "args" .Values.csi.provisioner.extraArgs) -}}
{{- if and .Values.csiDriver.storageCapacity (contains "--enable-capacity=false" $flags) -}}
{{- $problems = append $problems "csiDriver.storageCapacity is true, but csi.provisioner.extraArgs has --enable-capacity=false: without the provisioner's figures Pods with new claims would wait for ever. Set csiDriver.storageCapacity to false." -}}
{{- end -}}

{{- $known := list "socket" -}}
{{- if or $secret.enabled $secret.hostMount -}}{{- $known = append $known "cloud-config" -}}{{- end -}}
{{- $own := include "cinder-csi.volumes" . | fromYaml -}}
{{- range $own.volumes -}}{{- $known = append $known .name -}}{{- end -}}
{{- range $own.mounts -}}
{{- if not (has .name $known) -}}
{{- $problems = append $problems (printf "csi.plugin.volumeMounts names the volume %s, and csi.plugin.volumes has none of that name." .name) -}}
{{- end -}}
{{- end -}}

{{- $watched := or $plugin.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- if and $watched (not $plugin.httpEndpoint.enabled) -}}
{{- $problems = append $problems "A monitor is asked for, but csi.plugin.httpEndpoint.enabled is false: there would be nothing to look at." -}}
{{- end -}}
{{- if and $watched .Values.monitoring.nodes .Values.csi.livenessprobe.enabled -}}
{{- $problems = append $problems "monitoring.nodes is true, but with csi.livenessprobe.enabled the nodes' drivers serve no metrics: set one of them to false." -}}
{{- end -}}
{{- if and $plugin.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- $problems = append $problems "csi.plugin.podMonitor.enabled and monitoring.serviceMonitor.enabled are both true: everything would be counted twice. Choose one." -}}
{{- end -}}

{{- $args := dict "plugin" $plugin.extraArgs "plugin.controllerPlugin" $plugin.controllerPlugin.extraArgs "plugin.nodePlugin" $plugin.nodePlugin.extraArgs -}}
{{- range include "cinder-csi.allSidecars" . | fromYamlArray -}}
{{- $image := (index $.Values.csi .).image -}}
{{- if not (and $image.repository (or $image.tag $image.digest)) -}}
{{- $problems = append $problems (printf "csi.%s.image has no %s: leave the whole of it to the chart, or name the sidecar's own." . (ternary "tag" "repository" (ne ($image.repository | default "") ""))) -}}
{{- end -}}
{{- $_ := set $args . (index $.Values.csi .).extraArgs -}}
{{- end -}}
{{- range $place, $given := $args -}}
{{- $text := include "cinder-csi.extraArgs" (dict "root" $ "args" $given) -}}
{{- $list := (printf "args:\n%s" (indent 2 $text) | fromYaml).args -}}
{{- if and (regexMatch "(?m)^\\s*[^#\\s]" $text) (not (kindIs "slice" $list)) -}}
{{- $problems = append $problems (printf "csi.%s.extraArgs is a text, and no list is in it: %s. Write [--flag=value]; with --set, csi.%s.extraArgs={--flag=value}." $place (trunc 60 $text) $place) -}}
{{- end -}}
{{- end -}}

{{- range $place, $args := dict "" $plugin.extraArgs "controllerPlugin." $plugin.controllerPlugin.extraArgs "nodePlugin." $plugin.nodePlugin.extraArgs -}}
{{- if regexMatch "--?http-endpoint\\b" (include "cinder-csi.extraArgs" (dict "root" $ "args" $args)) -}}
{{- $problems = append $problems (printf "csi.plugin.%sextraArgs has --http-endpoint, where the probes wouldn't ask: set csi.plugin.httpEndpoint.port or node.httpPort." $place) -}}
{{- end -}}
{{- end -}}

{{- $ports := dict -}}
{{- with include "cinder-csi.controllerPort" . | int -}}{{- $_ := set $ports (toString .) (ternary "csi.plugin.httpEndpoint.port" "the port of the controller's driver" $plugin.httpEndpoint.enabled) -}}{{- end -}}
{{- if .Values.csi.livenessprobe.enabled -}}
{{- if hasKey $ports "9808" -}}
{{- $problems = append $problems "csi.plugin.httpEndpoint.port is 9808, which the sidecar livenessprobe takes: choose another." -}}
{{- end -}}
{{- $_ := set $ports "9808" "the sidecar livenessprobe" -}}
{{- end -}}
{{- range include "cinder-csi.sidecars" . | fromYamlArray -}}
{{- $sidecar := . -}}
{{- with include "cinder-csi.sidecarPort" (dict "root" $ "name" .) -}}
{{- if hasKey $ports . -}}
{{- $problems = append $problems (printf "csi.%s.httpPort is %s, which %s is, too: choose another." $sidecar . (get $ports .)) -}}
{{- end -}}
{{- $_ := set $ports . (printf "csi.%s.httpPort" $sidecar) -}}
{{- end -}}
{{- $flags := include "cinder-csi.extraArgs" (dict "root" $ "args" (index $.Values.csi .).extraArgs) -}}
{{- if regexMatch "--?leader-election=(f|F|0)" $flags -}}
{{- $problems = append $problems (printf "csi.%s.extraArgs switches leader election off, which the probes and the rights don't know: set controller.leaderElection to false." .) -}}
{{- end -}}
{{- end -}}

{{- $nodePort := int .Values.node.httpPort | toString -}}
{{- if and .Values.controller.hostNetwork .Values.node.hostNetwork (hasKey $ports $nodePort) -}}
{{- $problems = append $problems (printf "controller.hostNetwork and node.hostNetwork put both on the host's ports, and node.httpPort is %s, which %s is, too: choose another." $nodePort (get $ports $nodePort)) -}}
{{- end -}}

{{- $defaults := list -}}
{{- range $key, $name := include "cinder-csi.storageClasses" . | fromYaml -}}
{{- $class := index $.Values.storageClass $key -}}
{{- if $class.isDefault -}}{{- $defaults = append $defaults $key -}}{{- end -}}
{{- with lookup "storage.k8s.io/v1" "StorageClass" "" $name -}}
{{- $wanted := include "cinder-csi.parameters" $class | fromYaml -}}
{{- if ne (.parameters | default dict | toJson) ($wanted.parameters | default dict | toJson) -}}
{{- $problems = append $problems (printf "The StorageClass %s of this cluster has other parameters than storageClass.%s.parameters, and they can't be changed: delete it before, or leave them; claims stay." $name $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.storageClass.enabled (gt (len $defaults) 1) -}}
{{- $problems = append $problems (printf "Only one StorageClass can be the default, and isDefault is true of: storageClass.%s." (join ", storageClass." $defaults)) -}}
{{- end -}}
{{- if not (or .Values.storageClass.enabled .Values.test.storageClassName) -}}
{{- $problems = append $problems "storageClass.enabled is false, so `helm test` has no class: name one of this driver's by test.storageClassName." -}}
{{- end -}}
{{- range regexSplit "(?m)^---.*$" (.Values.storageClass.custom | default "") -1 -}}
{{- $object := fromYaml . -}}
{{- if and $object (not (and $object.kind $object.apiVersion)) -}}
{{- $problems = append $problems (printf "storageClass.custom must be whole manifests, as text, and this is none: %s" (trim . | trunc 60 | quote)) -}}
{{- end -}}
{{- end -}}
{{- if not .Values.legacyNames -}}
{{- $problems = concat $problems (include "cinder-csi.mistakes" (dict "root" . "old" true) | fromYamlArray) -}}
{{- end -}}
{{- $problems = concat $problems (include "cinder-csi.mistakes" (dict "root" . "old" false) | fromYamlArray) -}}
{{- with lookup "storage.k8s.io/v1" "CSIDriver" "" "cinder.csi.openstack.org" -}}
{{- $modes := .spec.volumeLifecycleModes | default list -}}
{{- if ne (has "Ephemeral" $modes) $.Values.legacyNames -}}
{{- $problems = append $problems (printf "The CSIDriver cinder.csi.openstack.org of this cluster has the volumeLifecycleModes %s, which can't be changed: set legacyNames to %t, as an upgrade from the existing chart needs (docs/migrate.md), or delete that object before; volumes stay." (join ", " $modes) (has "Ephemeral" $modes)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.volumeAttributesClasses (.Capabilities.KubeVersion.Version | semverCompare "<1.34-0") -}}
{{- $problems = append $problems (printf "volumeAttributesClasses need Kubernetes 1.34 or later, and this is %s." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- toYaml $problems -}}
{{- end -}}

{{/* Names that nobody knows, in values that go on to Kubernetes or to the driver as they are: sentences, as a list in YAML. root; old: in the values
     that the existing chart has, too, where such a name never did anything and may be in anyone's file; otherwise in ours. */}}
{{- define "cinder-csi.mistakes" -}}
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
{{- $mistakes := list -}}
{{- range $looks -}}
{{- $known := include "cinder-csi.names" (first .) | fromYamlArray -}}
{{- $also := ternary "^(csi\\.storage\\.k8s\\.io/|metadata\\..)" "^csi\\.storage\\.k8s\\.io/" (eq (first .) "VolumeAttributesClass") -}}
{{- $place := index . 1 -}}
{{- range $name, $_ := last . -}}
{{- if not (or (has $name $known) (regexMatch $also $name)) -}}
{{- $mistakes = append $mistakes (printf "%s: nobody knows %s there. Known are %s." $place $name (join ", " $known)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $mistakes -}}
{{- end -}}

{{/* The names that each of them knows: docs/volumes.md, docs/snapshots.md, docs/volume-attributes.md; core/v1 of Kubernetes. */}}
{{- define "cinder-csi.names" -}}
{{- dict
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
