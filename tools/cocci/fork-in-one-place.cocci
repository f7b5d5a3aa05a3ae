// A fork after threads exist copies their locks: processes start in os/process, the launcher and what it clones, the GPU reporter before threads, the agent (a program without any), what a bench measures.
// except: src/os/process.c src/executor/ src/main/ src/admin/doctor.c /test/ tests/ bench/ gpu/reporter src/agent/
@@
expression e;
@@
(
* fork()
|
* vfork()
|
* system(e)
|
* popen(...)
|
* posix_spawn(...)
|
* posix_spawnp(...)
)
