// Answers `POST v2/tessera/fit`: whether one more model would fit beside those that a running server serves, by
// simulation with what it has learned of them (sim/fit.h).
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"
#include "base/time.h"
#include "runtime/service.h"
#include "sim/fit.h"

namespace tessera::apps {

// What the body asks of the server as it is. Error: kInvalidArgument by the field's name; kNotFound where nothing is
// known of the model's latencies.
Result<sim::FitQuestion> fit_question(std::string_view body, const runtime::Snapshot& server);

// One question at a time, on a thread of its own that everything else on the machine goes before. Thread-safe.
class FitDesk {
 public:
  // What an answer may take. The simulation ends at its next run then.
  static constexpr Duration kLongest = std::chrono::seconds(20);
  static constexpr std::uint64_t kMostRequests = 50'000;  // of one simulated run
  static constexpr std::size_t kMostBody = std::size_t{1} << 20;
  static constexpr std::size_t kMostTenants = 256;

  using Reply = std::function<void(Result<std::string>)>;

  explicit FitDesk(runtime::Service& service) : service_(service) {}  // which outlives it
  ~FitDesk() { stop(); }
  FitDesk(const FitDesk&) = delete;
  FitDesk& operator=(const FitDesk&) = delete;

  // Replies at once where another question is being answered (kResourceExhausted, with a time to come again), the body
  // is too large, or the desk has stopped.
  void ask(std::string body, const Reply& reply);
  // Ends what is being answered, and answers nothing any more.
  void stop();

 private:
  void work(const std::string& body, const Reply& reply);
  Result<std::string> answer(const std::string& body);

  runtime::Service& service_;
  std::mutex mutex_;  // guards thread_
  std::thread thread_;
  std::atomic<bool> busy_{false};
  std::atomic<bool> stopped_{false};
};

}  // namespace tessera::apps
