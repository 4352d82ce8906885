#include "client/http/http_target.h"

#include <sys/epoll.h>

#include <array>
#include <iterator>

#include "base/check.h"
#include "base/clock.h"
#include "loadgen/inbox.h"
#include "loadgen/random.h"
#include "loadgen/text.h"

namespace tessera::client {
namespace {

constexpr std::size_t kBuffer = 256 << 10;
constexpr std::size_t kKeptOfAnswer = 300;
constexpr std::chrono::seconds kMetadataTime{10};
constexpr std::size_t kEvents = 64;

// What may stand between two slashes of a path.
std::string encoded(const std::string& text) {
  constexpr const char* kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    const auto byte = static_cast<unsigned char>(c);
    out += plain ? std::string(1, c) : std::string{'%', kHex[byte >> 4U], kHex[byte & 15U]};
  }
  return out;
}

// The text of {"error": "..."}, else all of it.
std::string error_text(const std::string& body) {
  const auto begin = body.find("\"error\":\"");
  const auto end = body.rfind('"');
  constexpr std::size_t kKey = 9;
  return begin == std::string::npos || end < begin + kKey ? body : body.substr(begin + kKey, end - begin - kKey);
}

loadgen::Answer answer_of(std::uint64_t number, const Result<Response>& came) {
  loadgen::Answer answer;
  answer.number = number;
  answer.at = now();
  if (!came.ok()) {
    answer.kind = loadgen::Answer::Kind::kFailed;
    answer.text = came.error().message();
  } else if (came->status == 503) {
    answer.kind = loadgen::Answer::Kind::kRejected;
  } else if (came->status != 200) {
    answer.kind = loadgen::Answer::Kind::kFailed;
    answer.text = "HTTP " + std::to_string(came->status) + ": " + error_text(came->body);
  }
  return answer;
}

}  // namespace

Result<std::unique_ptr<HttpTarget>> HttpTarget::create(const Endpoint& endpoint, RequestOptions options) {
  TESSERA_ASSIGN_OR_RETURN(const SocketAddress peer, resolve(endpoint));
  std::unique_ptr<HttpTarget> out(new HttpTarget(endpoint, peer, std::move(options)));
  if (out->poll_.get() < 0) {
    return internal_error("no epoll descriptor");
  }
  if (const auto live = out->get("/v2/health/live"); !live.ok()) {
    return live.error().in(endpoint.address());
  }
  return out;
}

HttpTarget::HttpTarget(Endpoint endpoint, const SocketAddress& peer, RequestOptions options)
    : endpoint_(std::move(endpoint)),
      peer_(peer),
      options_(std::move(options)),
      poll_(epoll_create1(EPOLL_CLOEXEC)),
      buffer_(kBuffer),
      ready_(options_.models.size()),
      pools_(options_.models.size()) {}

// The body of a small answer, on a connection of its own. Only before the first send().
Result<std::string> HttpTarget::get(const std::string& path) {
  const Descriptor poll(epoll_create1(EPOLL_CLOEXEC));
  Connection connection(peer_, poll.get());
  const auto message = std::make_shared<const std::string>(
      "GET " + endpoint_.path + path + " HTTP/1.1\r\nHost: " + endpoint_.address() + "\r\nConnection: close\r\n\r\n");
  TESSERA_RETURN_IF_ERROR(connection.send(message, kMaxMetadataBytes));
  const TimePoint limit = now() + kMetadataTime;
  while (now() < limit) {
    epoll_event event{};
    if (!loadgen::wait_readable(poll.get(), limit) || epoll_wait(poll.get(), &event, 1, 0) != 1) {
      continue;
    }
    if (auto came = connection.handle(event.events, buffer_)) {
      TESSERA_ASSIGN_OR_RETURN(const Response response, std::move(*came));
      if (response.status != 200) {
        return unavailable("HTTP " + std::to_string(response.status) + ": " + error_text(response.body));
      }
      return response.body;
    }
  }
  return unavailable("no answer to GET " + path + " within 10 s");
}

Result<const ModelFacts*> HttpTarget::facts(const std::string& model) {
  const auto known = facts_.find(model);
  if (known != facts_.end()) {
    return &known->second;
  }
  const auto text = get("/v2/models/" + encoded(model));
  if (!text.ok()) {
    return text.error().in("model '" + model + "'");
  }
  TESSERA_ASSIGN_OR_RETURN(ModelFacts parsed, parse_model_metadata(*text, model));
  return &facts_.emplace(model, std::move(parsed)).first->second;
}

Status HttpTarget::prepare(std::size_t tenant, std::int32_t rows) {
  const std::string& model = options_.models[tenant];
  Message& message = messages_[{model, rows}];
  if (message == nullptr) {
    TESSERA_ASSIGN_OR_RETURN(const ModelFacts* known, facts(model));
    TESSERA_ASSIGN_OR_RETURN(const auto inputs,
                             make_inputs(*known, options_.shapes, rows, loadgen::seed_of(options_.seed, tenant)));
    message = infer_message(model, inputs);
  }
  ready_[tenant][rows] = message;
  return ok_status();
}

HttpTarget::Message HttpTarget::infer_message(const std::string& model, const std::vector<InputData>& inputs) const {
  std::string head = "{\"inputs\":[";
  std::size_t bytes = 0;
  for (const InputData& input : inputs) {
    std::string dims = input.shape.to_string();
    head += (bytes == 0 && head.back() == '[' ? "" : ",") + ("{\"name\":" + loadgen::quoted(input.name)) +
            ",\"shape\":" + dims + ",\"datatype\":\"" + std::string(protocol_name(input.dtype)) +
            "\",\"parameters\":{\"binary_data_size\":" + std::to_string(input.bytes.size()) + "}}";
    bytes += input.bytes.size();
  }
  head += "],\"parameters\":{\"binary_data_output\":true}}";
  std::string out =
      "POST " + endpoint_.path + "/v2/models/" + encoded(model) + "/infer HTTP/1.1\r\nHost: " + endpoint_.address() +
      "\r\nContent-Type: application/octet-stream\r\nInference-Header-Content-Length: " + std::to_string(head.size()) +
      "\r\nContent-Length: " + std::to_string(head.size() + bytes) + "\r\n\r\n" + head;
  out.reserve(out.size() + bytes);
  for (const InputData& input : inputs) {
    out.append(reinterpret_cast<const char*>(input.bytes.data()), input.bytes.size());
  }
  return std::make_shared<const std::string>(std::move(out));
}

bool HttpTarget::send(std::size_t tenant, std::int32_t rows, std::uint64_t number) {
  const auto message = ready_[tenant].find(rows);
  TESSERA_CHECK(message != ready_[tenant].end());
  Pool& pool = pools_[tenant];
  if (pool.idle.empty()) {
    if (pool.all.size() >= options_.most_in_flight) {
      return false;
    }
    pool.all.push_back(std::make_unique<Connection>(peer_, poll_.get(), tenant));
    pool.idle.push_back(pool.all.back().get());
  }
  Connection& connection = *pool.idle.back();
  connection.number = number;
  const Status status = connection.send(message->second, kKeptOfAnswer);
  if (status.ok()) {
    pool.idle.pop_back();
  } else {
    at_once_.push_back(answer_of(number, status.error()));
  }
  return true;
}

void HttpTarget::wait(TimePoint until, std::vector<loadgen::Answer>& answers) {
  std::move(at_once_.begin(), at_once_.end(), std::back_inserter(answers));
  at_once_.clear();
  if (!loadgen::wait_readable(poll_.get(), answers.empty() ? until : TimePoint{})) {
    return;
  }
  std::array<epoll_event, kEvents> events{};
  const int ready = epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    auto* connection = static_cast<Connection*>(event.data.ptr);
    if (const auto came = connection->handle(event.events, buffer_)) {
      answers.push_back(answer_of(connection->number, *came));
      pools_[connection->tenant()].idle.push_back(connection);
    }
  }
}

}  // namespace tessera::client
