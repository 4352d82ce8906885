// What a program says when it has to end because of a fault of its own.
#pragma once

namespace tessera::apps {

// From now on a signal that ends the process because of a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) writes its
// name and the thread's calls to stderr, and ends the process as it would have: supervisors and core dumps see no
// difference. Signals that somebody handles already, such as a sanitizer, are left alone. Call it before other threads.
void report_fatal_signals();

}  // namespace tessera::apps
