#!/bin/bash
# The first process of a guest (see guests.py). Its root is the machine's own disk; what must be private is a tmpfs.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
. "$(dirname "$0")/$guest.settings"
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
for folder in /run /mnt /srv /var/lib/nfs; do mount -t tmpfs tmpfs $folder; done
mkdir -p /dev/shm /run/modules/lib /run/rpcbind /run/sendsigs.omit.d
mount -t tmpfs tmpfs /dev/shm
hostname "$name"
ip link set lo up
ip addr add "$address/24" dev eth0
ip link set eth0 up

ln -s /usr/lib/uml/modules /run/modules/lib/modules
load() { modprobe -d /run/modules "$@" || echo "modprobe $* failed"; }
load lockd nlm_grace_period=1
for module in nfs nfsv3 nfsv4; do load $module; done
mkdir -p /var/lib/nfs/{sm,sm.bak,rpc_pipefs,v4recovery,nfsdcltrack}
mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
rpcbind -w 2>/dev/null || rpcbind
rpc.statd --no-notify

if [ "$name" = server ]; then
    load nfsd
    mount -t nfsd nfsd /proc/fs/nfsd
    mkdir -p "$export"
    mke2fs -q -F -t ext4 /dev/ubda && mount -t ext4 /dev/ubda "$export"
    : >/var/lib/nfs/etab
    : >/var/lib/nfs/rmtab
    echo 10 >/proc/fs/nfsd/nfsv4leasetime # seconds after which the locks of a machine without power are free
    exportfs -o rw,sync,no_subtree_check,no_root_squash,fsid=0 "*:$export"
    rpc.mountd
    rpc.nfsd --no-udp 8
    echo Y >/proc/fs/nfsd/v4_end_grace
fi

# Not `exec`: what is orphaned here is a child of this shell, which clears it away.
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$checkout" "$python" "$here/agent.py" "$port"
