//! Seccomp: the system calls that a program needs to compute, and no others.
//!
//! A list of what is allowed: what a later kernel adds, or another way to number calls, is refused without
//! anybody thinking of it. No socket, no process, no look into others. What is refused answers "not
//! permitted", so that a program which merely tries goes on.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Memory, threads, time and signals of its own; files as far as they may be opened.
const HARMLESS: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_capget,
    libc::SYS_chdir,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchdir,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mkdirat,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_prlimit64,
    libc::SYS_pselect6,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_setitimer,
    libc::SYS_sigaltstack,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_sysinfo,
    libc::SYS_timer_create,
    libc::SYS_timer_delete,
    libc::SYS_timer_settime,
    libc::SYS_umask,
    libc::SYS_uname,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_write,
    libc::SYS_writev,
];

/// The same under their older names.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];

/// The same under their older names: there are none.
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// From here on only harmless calls; also takes away every way to gain rights.
pub(super) fn only_harmless() -> Result<(), String> {
    let fault = |error: &dyn std::fmt::Display| format!("lock system calls: {error}");
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> =
        HARMLESS.iter().chain(OLDER).map(|call| (*call, Vec::new())).collect();
    allowed.insert(libc::SYS_clone, vec![threads_only().map_err(|e| fault(&e))?]);
    for (call, place) in [(libc::SYS_tgkill, 0), (libc::SYS_tkill, 0), (libc::SYS_kill, 0)] {
        allowed.insert(call, vec![to_itself(place).map_err(|e| fault(&e))?]);
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| fault(&e))?;
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    // Its arguments lie in memory, where a filter cannot look: a program then takes the older call.
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let clone3 = [(libc::SYS_clone3, Vec::new())].into_iter().collect();
    let filters = [
        SeccompFilter::new(clone3, SeccompAction::Allow, absent, arch),
        SeccompFilter::new(
            allowed.into_iter().chain([(libc::SYS_clone3, Vec::new())]).collect(),
            refuse,
            SeccompAction::Allow,
            arch,
        ),
    ];
    // Compiled first: applying the second needs a call that it must therefore still allow.
    let mut programs: Vec<BpfProgram> = Vec::new();
    for filter in filters {
        let filter = filter.map_err(|e| fault(&e))?;
        programs.push(filter.try_into().map_err(|e: seccompiler::BackendError| fault(&e))?);
    }
    programs.iter().try_for_each(|p| seccompiler::apply_filter(p).map_err(|e| fault(&e)))
}

/// `clone` makes a thread of this process, never a process.
fn threads_only() -> Result<SeccompRule, seccompiler::BackendError> {
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let flags =
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), thread)?;
    SeccompRule::new(vec![flags])
}

/// A signal goes to this process only; its number stays when it becomes the tool.
fn to_itself(place: u8) -> Result<SeccompRule, seccompiler::BackendError> {
    let own = u64::from(std::process::id());
    let target = SeccompCondition::new(place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, own)?;
    SeccompRule::new(vec![target])
}
