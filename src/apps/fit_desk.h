// Answers `POST v2/tessera/fit`: whether one more model would fit beside those that a running server serves, by
// simulation with what it has learned of them (sim/fit.h).
#pragma once

#include <string>
#include <string_view>

#include "apps/desk.h"
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

  explicit FitDesk(runtime::Service& service) : service_(service) {}  // which outlives it

  // Replies at once where another question is being answered (kResourceExhausted, with a time to come again), the body
  // is too large, or the desk has stopped.
  void ask(std::string body, Desk::Reply reply);
  // As Desk's: ends what is being answered at the next simulated run, and answers nothing any more.
  bool stop(Duration limit) { return desk_.stop(limit); }

 private:
  Result<std::string> answer(const std::string& body);

  runtime::Service& service_;
  Desk desk_{"fit", "another question is being answered; ask again soon"};  // last: its thread uses the above
};

}  // namespace tessera::apps
