{{- define "paceline.labels" -}}
app.kubernetes.io/name: paceline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "paceline.meta" -}}
{{ include "paceline.labels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* What cannot be right together, told before anything is made. */}}
{{- define "paceline.check" -}}
{{- $tls := include "paceline.tlsSecret" . }}
{{- if not (or $tls .Values.access.usersSecret .Values.access.open) }}
{{- fail "nobody could administer the cluster: set tls.secret (or tls.certManager.issuer), or access.usersSecret, or, for a laboratory, access.open=true" }}
{{- end }}
{{- if and .Values.access.usersSecret (not .Values.access.credentialsSecret) }}
{{- fail "access.usersSecret needs access.credentialsSecret: the hand-over before a pod goes must be let in" }}
{{- end }}
{{- if and (gt (int .Values.etcd.replicas) 1) (not .Values.etcd.secret) }}
{{- fail "etcd.secret is needed: a Secret with the key \"secret\", by which the members of etcd know each other" }}
{{- end }}
{{- if not .Values.vtgate.usersSecret }}
{{- fail "vtgate.usersSecret is needed: a Secret with the key users.json, which says who may connect by MySQL" }}
{{- end }}
{{- if and (eq .Values.backup.storage "file") (not .Values.backup.file.claim) }}
{{- fail "backup.storage=file needs backup.file.claim, a claim that all tablets can mount" }}
{{- end }}
{{- if and (eq .Values.backup.storage "s3") (not .Values.backup.s3.bucket) }}
{{- fail "backup.storage=s3 needs backup.s3.bucket" }}
{{- end }}
{{- $cells := list }}{{- range .Values.cells }}{{- $cells = append $cells .name }}{{- end }}
{{- $ranges := list }}
{{- range $keyspace := .Values.keyspaces }}{{- range $shard := .shards }}{{- range $pool := .pools }}
{{- if not (has .cell $cells) }}{{- fail (printf "keyspace %s, shard %s: there is no cell %s in cells" $keyspace.name $shard.name .cell) }}{{- end }}
{{- $first := int64 .uidBase }}{{- $last := add $first (int64 .replicas) }}
{{- range $ranges }}{{- if and (lt $first (index . 1)) (lt (index . 0) $last) }}
{{- fail (printf "keyspace %s, shard %s: uidBase %d overlaps with another pool's tablets" $keyspace.name $shard.name $first) }}
{{- end }}{{- end }}
{{- $ranges = append $ranges (list $first $last) }}
{{- end }}{{- end }}{{- end }}
{{- end }}

{{- define "paceline.tlsSecret" -}}
{{- if .Values.tls.secret }}{{ .Values.tls.secret }}{{- else if .Values.tls.certManager.issuer }}paceline-tls{{- end }}
{{- end }}

{{- define "paceline.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}

{{- define "paceline.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.podSecurity.user }}
runAsGroup: {{ .Values.podSecurity.group }}
fsGroup: {{ .Values.podSecurity.group }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "paceline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "paceline.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {{ .labels | toJson }}}
{{- end }}

{{/* The addresses of etcd's clients. */}}
{{- define "paceline.etcdEndpoints" -}}
{{- $scheme := ternary "https" "http" (ne (include "paceline.tlsSecret" .) "") -}}
{{- $root := . -}}
{{- range $i := until (int .Values.etcd.replicas) -}}
{{- if $i }},{{ end }}{{ $scheme }}://etcd-{{ $i }}.etcd.{{ $root.Release.Namespace }}.svc:2379
{{- end }}
{{- end }}

{{- define "paceline.topoArgs" -}}
- --topo-implementation=etcd2
- --topo-global-server-address={{ include "paceline.etcdEndpoints" . }}
- --topo-global-root=/vitess/global
{{- if include "paceline.tlsSecret" . }}
- --topo-etcd-tls-cert=/etc/paceline/tls/tls.crt
- --topo-etcd-tls-key=/etc/paceline/tls/tls.key
- --topo-etcd-tls-ca=/etc/paceline/tls/ca.crt
{{- end }}
{{- end }}

{{- define "paceline.tlsServerArgs" -}}
{{- if include "paceline.tlsSecret" . }}
- --grpc-cert=/etc/paceline/tls/tls.crt
- --grpc-key=/etc/paceline/tls/tls.key
- --grpc-ca=/etc/paceline/tls/ca.crt
{{- end }}
{{- end }}

{{/* .root, .prefix */}}
{{- define "paceline.tlsClientArgs" -}}
{{- if include "paceline.tlsSecret" .root }}
- --{{ .prefix }}-cert=/etc/paceline/tls/tls.crt
- --{{ .prefix }}-key=/etc/paceline/tls/tls.key
- --{{ .prefix }}-ca=/etc/paceline/tls/ca.crt
{{- end }}
{{- end }}

{{- define "paceline.accessArgs" -}}
{{- if .Values.access.usersSecret }}
- --access-users-file=/etc/paceline/access/users.json
{{- end }}
{{- if .Values.access.open }}
- --access-open
{{- end }}
{{- end }}

{{- define "paceline.backupArgs" -}}
{{- if eq .Values.backup.storage "file" }}
- --backup-storage-implementation=file
- --file-backup-storage-root=/backups
{{- else if eq .Values.backup.storage "s3" }}
- --backup-storage-implementation=s3
- --s3-backup-aws-region={{ .Values.backup.s3.region }}
- --s3-backup-storage-bucket={{ .Values.backup.s3.bucket }}
{{- with .Values.backup.s3.root }}
- --s3-backup-storage-root={{ . }}
{{- end }}
{{- with .Values.backup.s3.endpoint }}
- --s3-backup-aws-endpoint={{ . }}
{{- end }}
{{- if .Values.backup.s3.pathStyle }}
- --s3-backup-force-path-style
{{- end }}
{{- end }}
{{- end }}

{{- define "paceline.backupEnv" -}}
{{- if and (eq .Values.backup.storage "s3") .Values.backup.s3.credentialsSecret }}
envFrom:
  - secretRef: {name: {{ .Values.backup.s3.credentialsSecret }}}
{{- end }}
{{- end }}

{{- define "paceline.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "paceline.tlsSecret" . }}
- {name: tls, mountPath: /etc/paceline/tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "paceline.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- with include "paceline.tlsSecret" . }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* What the client of vtctld is told: in the hand-over, the job and the schedule. */}}
{{- define "paceline.clientArgs" -}}
--server=vtctld.{{ .Release.Namespace }}.svc:15999
{{- if include "paceline.tlsSecret" . }} --vtctld-grpc-cert=/etc/paceline/tls/tls.crt --vtctld-grpc-key=/etc/paceline/tls/tls.key --vtctld-grpc-ca=/etc/paceline/tls/ca.crt{{ end }}
{{- if .Values.access.credentialsSecret }} --grpc-auth-static-client-creds=/etc/paceline/client/credentials.json{{ end }}
{{- end }}

{{- define "paceline.clientMounts" -}}
{{- if .Values.access.credentialsSecret }}
- {name: client, mountPath: /etc/paceline/client, readOnly: true}
{{- end }}
{{- end }}

{{- define "paceline.clientVolumes" -}}
{{- with .Values.access.credentialsSecret }}
- name: client
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* .port: liveness says that the process's loop turns, readiness whether to send it work. */}}
{{- define "paceline.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ .port }}}
  periodSeconds: 3
  timeoutSeconds: 3
{{- end }}

{{- define "paceline.scrape" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | quote }}
prometheus.io/path: /metrics
{{- end }}

{{/* .keyspace .shard .pool: a name that Kubernetes takes. "-80" becomes "x-80", "80-" becomes "80-x". */}}
{{- define "paceline.tabletSet" -}}
{{- $shard := .shard.name }}
{{- if hasPrefix "-" $shard }}{{- $shard = printf "x%s" $shard }}{{- end }}
{{- if hasSuffix "-" $shard }}{{- $shard = printf "%sx" $shard }}{{- end }}
{{- printf "vttablet-%s-%s-%s%s" .pool.cell .keyspace.name $shard (ternary "" (printf "-%s" (.pool.type | default "replica")) (eq (.pool.type | default "replica") "replica")) | replace "_" "-" | trunc 52 | trimSuffix "-" }}
{{- end }}
