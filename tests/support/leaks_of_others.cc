// Part of every test program that is built with the address sanitizer: what libraries leak by themselves.

// Called by the sanitizer's runtime, under this name.
extern "C" const char* __lsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)

extern "C" const char* __lsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
  // 14 bytes once a process, already by making an environment.
  return "leak:libonnxruntime.so\n";
}
