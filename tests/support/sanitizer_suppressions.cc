// Part of every program that is built with a sanitizer: what to overlook in libraries.

// Called by the sanitizers' runtimes, under these names.
extern "C" const char* __lsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __tsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)

extern "C" const char* __lsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
  // 14 bytes once a process, already by making an environment; some 300 more after a run that was ended.
  return "leak:libonnxruntime.so\n";
}

extern "C" const char* __tsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
  // Not instrumented, so how its threads wait for each other is not seen.
  return "race:libonnxruntime.so\n";
}
