/** Names for the hub's Structs, as its OpenAPI describes them. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Device = Schemas["Device"];
export type DeviceEvent = Schemas["StoredEvent"];
export type LocalParts = Schemas["LocalParts"];
export type ModelTraffic = Schemas["ModelTraffic"];
export type DeclaredGap = Schemas["DeclaredGap"];
export type Severity = Schemas["Severity"];
export type DeviceStatus = Schemas["DeviceStatus"];
export type Run = Schemas["Run"];
export type RunStatus = Schemas["RunStatus"];
export type RunDetail = Schemas["RunDetail"];
export type Turnout = Schemas["Turnout"];
export type PrivacySpent = Schemas["PrivacySpent"];
export type Absent = Schemas["Absent"];
export type Round = Schemas["Round"];
export type RoundFailure = Schemas["RoundFailure"];
export type Contribution = Schemas["Contribution"];
export type LateContribution = Schemas["LateContribution"];
export type LateCounts = Schemas["LateCounts"];
export type MessageSpans = Schemas["MessageSpans"];
export type Span = Schemas["Span"];
export type Model = Schemas["Model"];
export type ModelVersion = Schemas["ModelVersion"];
export type Rollout = Schemas["Rollout"];
export type RolloutStatus = Schemas["RolloutStatus"];
export type RingProgress = Schemas["RingProgress"];
export type RingDevice = Schemas["RingDevice"];
export type RingState = Schemas["RingState"];
export type Standing = Schemas["Standing"];
export type Check = Schemas["Check"];
export type Step = Schemas["Step"];
export type Me = Schemas["Me"];
export type Permission = Schemas["Permission"];
export type Session = Schemas["Session"];
export type Ways = Schemas["Ways"];
