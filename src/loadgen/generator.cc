#include "loadgen/generator.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <set>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/clock.h"
#include "loadgen/random.h"

namespace tessera::loadgen {
namespace {

using std::chrono::milliseconds;

// A request's number: its place among the flights, and a serial number.
constexpr int kPlaceBits = 32;
constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << kPlaceBits) - 1;

// From run() to the first scheduled request, so that it is not late already.
constexpr Duration kLead = milliseconds(20);
// How many are sent before answers are looked for.
constexpr int kBurst = 16;
constexpr Duration kAfterRejection = milliseconds(1);
constexpr Duration kProgressStep = milliseconds(200);
constexpr int kMaxPeriods = 60;
constexpr Duration kLeastPeriod = milliseconds(100);
constexpr std::size_t kMaxFailureText = 200;

// One line of printable ASCII.
std::string plain(const std::string& text) {
  std::string out = text.substr(0, kMaxFailureText);
  for (char& c : out) {
    c = c < 0x20 || c > 0x7e ? ' ' : c;
  }
  return out;
}

std::string ms_text(Duration span) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f ms", static_cast<double>(span.count()) / 1e6);
  return text;
}

double unix_seconds(TimePoint time) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch() + (time - now());
  return std::chrono::duration<double>(wall).count();
}

Busy busy_between(const Usage& before, const Usage& after) {
  return {after.atom_seconds - before.atom_seconds, std::chrono::duration<double>(after.at - before.at).count(),
          after.atoms};
}

std::int32_t rows_sent(const TenantSpec& spec, std::int32_t rows) {
  return std::min(std::max(rows, spec.rows), spec.max_batch);
}

}  // namespace

Duration lateness_limit(std::optional<Duration> tightest) {
  constexpr Duration kMost = milliseconds(1);
  const Duration slo = tightest.value_or(Duration(0));
  return tightest ? std::clamp<Duration>(slo / 20, kLeastLateness, std::max<Duration>(kMost, slo / 100)) : kMost;
}

LoadOutcome Generator::run(const std::vector<Tenant>& tenants, const LoadOptions& options) {
  begin(tenants, options);
  std::vector<Answer> answers;
  TimePoint told{};
  for (TimePoint time = now(); !done(time) && !out_.gave_up; time = now()) {
    if (options.progress && time >= told) {
      told = time + kProgressStep;
      const Duration whole = options.warm_up + options.length;
      options.progress(1 - static_cast<double>(std::max(Duration(0), ends_ - time).count()) /
                               static_cast<double>(whole.count()));
    }
    if (options.stopped && time < ends_ && options.stopped()) {
      cut_short(time);
    }
    count_busy(time);
    issue_due();
    answers.clear();
    target_.wait(wake(now()), answers);
    for (const Answer& answer : answers) {
      settle(answer);
    }
  }
  finish();
  return std::move(out_);
}

void Generator::begin(const std::vector<Tenant>& tenants, const LoadOptions& options) {
  tenants_ = &tenants;
  options_ = &options;
  out_ = LoadOutcome();
  sources_.clear();
  due_ = {};
  flights_.clear();
  free_.clear();
  counted_open_ = 0;
  out_.seconds = std::chrono::duration<double>(options.length).count();
  objectives_ = std::any_of(tenants.begin(), tenants.end(), [](const Tenant& one) { return one.slo.has_value(); });
  out_.period = std::max(kLeastPeriod, (options.length + Duration(kMaxPeriods - 1)) / kMaxPeriods);
  for (Duration at{0}; at < options.length; at += out_.period) {
    out_.periods.push_back({std::chrono::duration<double>(std::min(out_.period, options.length - at)).count(), {}});
  }
  out_.timelines = Timelines(tenants.size());
  out_.failures.resize(tenants.size());
  used_before_.reset();
  used_known_ = false;
  Duration tightest = kForever;
  const TimePoint zero = now() + kLead;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    const Tenant& tenant = tenants[i];
    out_.tenants.push_back({tenant.slo, {}});
    tightest = std::min(tightest, tenant.slo.value_or(kForever));
    Source source;
    if (!tenant.spec.outstanding && tenant.rate > 0) {
      source.arrivals = make_arrivals(tenant.spec.process, tenant.rate, seed_of(options.seed, i));
      source.next = source.arrivals->next();
      due_.push({zero + source.next.at, i});
    }
    for (int n = 0; n < tenant.spec.outstanding.value_or(0); ++n) {
      due_.push({zero, i});
    }
    sources_.push_back(std::move(source));
  }
  out_.lateness.limit = lateness_limit(tightest == kForever ? std::nullopt : std::optional<Duration>(tightest));
  zero_ = zero;
  counted_from_ = zero + options.warm_up;
  ends_ = counted_from_ + options.length;
  out_.began = counted_from_;
  out_.began_at = unix_seconds(counted_from_);
}

// What was scheduled until now counts, as if the run had been meant to be that long; one in its warm-up has a period.
void Generator::cut_short(TimePoint time) {
  ends_ = std::min(ends_, std::max(time, counted_from_ + kLeastPeriod));
  const Duration length = ends_ - counted_from_;
  out_.seconds = std::chrono::duration<double>(length).count();
  out_.periods.resize(static_cast<std::size_t>((length + out_.period - Duration(1)) / out_.period));
  Period& last = out_.periods.back();
  last.seconds = std::min(last.seconds, out_.seconds - static_cast<double>(out_.periods.size() - 1) *
                                                           std::chrono::duration<double>(out_.period).count());
}

// Between two moments near the ends of the counted time: as soon as this thread gets there.
void Generator::count_busy(TimePoint time) {
  if (used_known_ || time < counted_from_ || (used_before_ && time < ends_)) {
    return;
  }
  const std::optional<Usage> used = target_.usage();
  used_known_ = !used || used_before_;
  if (used && used_before_) {
    out_.busy = busy_between(*used_before_, *used);
  } else {
    used_before_ = used;
  }
}

bool Generator::done(TimePoint time) const {
  // What is scheduled before the end is sent even where the generator is that late.
  const bool all_sent = due_.empty() || due_.top().at >= ends_;
  return time >= ends_ && all_sent && (counted_open_ == 0 || time >= ends_ + options_->patience);
}

TimePoint Generator::wake(TimePoint time) const {
  TimePoint next = time < ends_ ? ends_ : ends_ + options_->patience;
  if (options_->progress || options_->stopped) {
    next = std::min(next, time + kProgressStep);
  }
  return due_.empty() ? next : std::min(next, due_.top().at);
}

void Generator::issue_due() {
  for (int sent = 0; sent < kBurst && !due_.empty(); ++sent) {
    const Due due = due_.top();
    if (due.at >= ends_) {
      due_.pop();  // nobody asks after the end
      continue;
    }
    if (due.at > now()) {
      return;
    }
    due_.pop();
    issue(due);
  }
}

void Generator::issue(const Due& due) {
  const TenantSpec& spec = (*tenants_)[due.tenant].spec;
  Source& source = sources_[due.tenant];
  std::int32_t rows = rows_sent(spec, 1);
  if (source.arrivals) {
    rows = rows_sent(spec, source.next.rows);
    source.next = source.arrivals->next();
    due_.push({zero_ + source.next.at, due.tenant});
  }
  const bool counted = counts(due.at);
  if (counted) {
    out_.tenants[due.tenant].tally.offered();
    ++out_.timelines.at(due.tenant, due.at - counted_from_).offered;
    if (Period* period = period_of(due.tenant, due.at)) {
      period->tally.offered();
    }
  }
  if (free_.empty()) {
    free_.push_back(flights_.size());
    flights_.emplace_back();
  }
  const std::size_t place = free_.back();
  const std::uint64_t number = (++serial_ << kPlaceBits) | place;
  const TimePoint handed = now();
  if (source.in_flight >= options_->most_in_flight || !target_.send_due(due.tenant, rows, number, due.at)) {
    fail(due.tenant, due.at, "not sent: too many were on their way already");
    ask_again(due.tenant, handed + kAfterRejection);
    return;
  }
  free_.pop_back();
  flights_[place] = {due.tenant, due.at, true, number};
  ++source.in_flight;
  counted_open_ += counted ? 1 : 0;
  if (counted && source.arrivals) {
    out_.lateness.all.record(handed - due.at);
    out_.lateness.worst = std::max(out_.lateness.worst, handed - due.at);
  }
}

Generator::Flight* Generator::flight_of(const Answer& answer) {
  const std::size_t place = answer.number & kPlaceMask;
  const bool known = place < flights_.size() && flights_[place].open && flights_[place].number == answer.number;
  return known ? &flights_[place] : nullptr;
}

void Generator::settle(const Answer& answer) {
  Flight* found = flight_of(answer);
  if (found == nullptr) {
    return;
  }
  found->open = false;
  free_.push_back(answer.number & kPlaceMask);
  const Flight flight = *found;
  --sources_[flight.tenant].in_flight;
  if (counts(flight.scheduled)) {
    --counted_open_;
  }
  const bool answered = answer.kind == Answer::Kind::kAnswered;
  ask_again(flight.tenant, answered ? answer.at : answer.at + kAfterRejection);
  count(flight.tenant, flight.scheduled, answer);
}

void Generator::ask_again(std::size_t tenant, TimePoint at) {
  if ((*tenants_)[tenant].spec.outstanding) {
    due_.push({at, tenant});
  }
}

void Generator::fail(std::size_t tenant, TimePoint scheduled, const std::string& text) {
  Answer answer;
  answer.kind = Answer::Kind::kFailed;
  answer.text = text;
  count(tenant, scheduled, answer);
}

void Generator::count(std::size_t tenant, TimePoint scheduled, const Answer& answer) {
  if (!counts(scheduled)) {
    return;
  }
  const std::optional<Duration> slo = (*tenants_)[tenant].slo;
  const auto enter = [&](Tally& tally) {
    switch (answer.kind) {
      case Answer::Kind::kAnswered:
        return tally.answered(answer.at - scheduled, slo);
      case Answer::Kind::kRejected:
        return tally.rejected();
      case Answer::Kind::kFailed:
        return tally.failed();
    }
  };
  Tally& tally = out_.tenants[tenant].tally;
  const std::uint64_t met_before = tally.met_count();
  enter(tally);
  if (Period* period = period_of(tenant, scheduled)) {
    enter(period->tally);
  }
  if (answer.kind == Answer::Kind::kFailed) {
    Failures& known = out_.failures[tenant];
    const std::string text = plain(answer.text);
    ++known[known.count(text) > 0 || known.size() < kMaxFailureTexts ? text : "others"];
  }
  const bool met = tally.met_count() > met_before;
  Moment& moment = out_.timelines.at(tenant, scheduled - counted_from_);
  moment.met += met ? 1 : 0;
  moment.failed += answer.kind == Answer::Kind::kFailed ? 1 : 0;
  if (answer.kind == Answer::Kind::kAnswered) {
    ++moment.answered;
    moment.slowest = std::max(moment.slowest, answer.at - scheduled);
  }
  if (!met && !options_->most_misses.empty() && ++sources_[tenant].misses > options_->most_misses[tenant]) {
    out_.gave_up = true;
  }
}

Period* Generator::period_of(std::size_t tenant, TimePoint scheduled) {
  const bool in_it = !objectives_ || (*tenants_)[tenant].slo.has_value();
  return in_it ? &out_.periods[static_cast<std::size_t>((scheduled - counted_from_) / out_.period)] : nullptr;
}

void Generator::finish() {
  count_busy(ends_);
  for (const Flight& flight : flights_) {
    if (flight.open && !out_.gave_up) {
      fail(flight.tenant, flight.scheduled,
           "no answer " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(options_->patience).count()) +
               " s after the end");
    }
  }
  out_.timelines.cover(ends_ - counted_from_);
  const Lateness& late = out_.lateness;
  if (!late.kept()) {
    out_.invalid = "the schedule was not kept: the 99th percentile of lateness is " + ms_text(late.all.quantile(0.99)) +
                   ", more than " + ms_text(late.limit) +
                   "; lower the rate, or run tessera load on cores or a machine of its own";
  } else if (std::all_of(out_.tenants.begin(), out_.tenants.end(),
                         [](const TenantOutcome& one) { return one.tally.offered_count() == 0; })) {
    out_.invalid = "no request fell into the time that counts; raise --seconds or --rate";
  }
}

void Generator::let_end(Duration most) {
  auto open = std::count_if(flights_.begin(), flights_.end(), [](const Flight& flight) { return flight.open; });
  std::vector<Answer> answers;
  for (const TimePoint limit = now() + most; open > 0 && now() < limit; answers.clear()) {
    target_.wait(limit, answers);
    for (const Answer& answer : answers) {
      if (Flight* flight = flight_of(answer)) {
        flight->open = false;
        --open;
      }
    }
  }
}

std::vector<std::int32_t> rows_of(const TenantSpec& spec) {
  std::set<std::int32_t> rows = {rows_sent(spec, 1)};
  if (const Trace* trace = std::get_if<Trace>(&spec.process); trace != nullptr && !spec.outstanding) {
    for (const ScheduledArrival& one : *trace->arrivals) {
      rows.insert(rows_sent(spec, one.rows));
    }
  }
  return {rows.begin(), rows.end()};
}

Result<Duration> latency_alone(Target& target, std::size_t tenant, std::int32_t rows) {
  constexpr std::size_t kWarm = 5;
  constexpr std::size_t kMost = 200;
  constexpr std::size_t kLeast = 5;
  // Apart from those of runs.
  static constexpr std::uint64_t kNumbers = std::uint64_t{1} << 63U;
  const TimePoint begun = now();
  std::vector<Duration> times;
  std::vector<Answer> answers;
  for (std::uint64_t i = 0; i < kMost; ++i) {
    const TimePoint sent = now();
    if (times.size() >= kLeast && sent - begun > std::chrono::seconds(1)) {
      break;
    }
    const std::uint64_t number = kNumbers | (static_cast<std::uint64_t>(begun.time_since_epoch().count()) + i);
    if (!target.send(tenant, rows, number)) {
      return internal_error("a request alone was not taken");
    }
    const TimePoint limit = sent + std::chrono::seconds(60);
    for (answers.clear(); answers.empty();) {
      target.wait(limit, answers);
      answers.erase(
          std::remove_if(answers.begin(), answers.end(), [&](const Answer& answer) { return answer.number != number; }),
          answers.end());
      if (answers.empty() && now() >= limit) {
        return unavailable("a request alone was not answered within 60 s");
      }
    }
    if (answers.front().kind != Answer::Kind::kAnswered) {
      return unavailable("a request alone was " + (answers.front().kind == Answer::Kind::kRejected
                                                       ? "rejected; give --slo-ms"
                                                       : "not served: " + plain(answers.front().text)));
    }
    if (i >= kWarm) {
      times.push_back(answers.front().at - sent);
    }
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

}  // namespace tessera::loadgen
